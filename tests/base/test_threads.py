"""Our threads receive no signals, and what they start is as if it had been started elsewhere."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import zespan_serverless
from zespan_serverless import testing
from zespan_serverless._base import threads
from zespan_serverless._process import sigterm

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks on this platform")

PACKAGE = Path(zespan_serverless.__file__).parent
ASKED_FOR = {
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGHUP")
    if hasattr(signal, name)  # Windows imports this module, too
}


def mask() -> set[int]:
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}


@pytest.fixture
def blocked() -> Iterator[set[int]]:
    """The main thread blocks SIGUSR1."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    yield mask()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_our_thread_blocks_signals(blocked: set[int]) -> None:
    """It blocks all but those that a thread causes itself; the mask of the thread that starts it stays the same."""
    seen: list[set[int]] = []
    threads.start("zespan-test", lambda: seen.append(mask())).join()
    assert seen[0] >= ASKED_FOR
    assert not seen[0] & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    assert mask() == blocked


@pytest.mark.parametrize("struck", range(1, 6))
@pytest.mark.parametrize("what", ["start", "undisturbed", "fork"])
def test_raising_handler_leaves_no_signal_blocked(monkeypatch: pytest.MonkeyPatch, what: str, struck: int) -> None:
    """`pthread_sigmask` runs the handlers of signals that wait, after it has changed the mask."""
    before, calls = mask(), 0

    def change(how: int, numbers: object) -> object:
        nonlocal calls
        old = signal.pthread_sigmask(how, numbers)  # type: ignore[arg-type]
        calls += 1
        if calls == struck:
            raise TimeoutError
        return old

    monkeypatch.setattr(threads, "_change_mask", change)
    monkeypatch.setattr(sigterm, "_watch", object())
    with contextlib.suppress(TimeoutError):
        if what == "fork":
            sigterm._before_fork()
        elif what == "start":
            threads.start("zespan-test", bool)
        else:
            threads.undisturbed(bool)
    with contextlib.suppress(TimeoutError):
        if what == "fork":
            sigterm._in_parent()
    assert mask() == before


def test_user_code_runs_with_the_current_mask_of_the_main_thread(blocked: set[int]) -> None:
    """Processes that it starts inherit the mask that the main thread has now."""
    seen: list[object] = []

    def work() -> None:
        go.wait(5)
        with threads.as_main_thread():
            seen.append(mask())
            command = [sys.executable, "-c", "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))"]
            seen.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        seen.append(mask())

    go = threading.Event()
    thread = threads.start("zespan-test", work)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    go.set()
    thread.join()
    assert seen[0] == blocked | {signal.SIGUSR2}
    assert seen[1] == [str(int(number)) for number in sorted(blocked | {signal.SIGUSR2})]
    assert isinstance(seen[2], set)
    assert seen[2] >= ASKED_FOR


def test_as_main_thread_changes_no_mask_in_other_threads(blocked: set[int]) -> None:
    """The main thread's own, and those of the user's threads."""
    with threads.as_main_thread():
        assert mask() == blocked


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_forked_in_our_thread_receives_signals(blocked: set[int]) -> None:
    """`terminate()` ends it, because it blocks what the main thread did."""
    seen: list[int] = []

    def work() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if mask() == blocked else 1)
        seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    threads.start("zespan-test", work).join()
    assert seen == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sender_follower_and_sigterm_watch_block_signals() -> None:
    """The sender, the one that flushes in the background, the one that waits for SIGTERM."""
    with testing.Backend() as backend:
        zespan_serverless.init(base_url=backend.url)
        from zespan_serverless._process import container as _container

        container = _container.current()
        assert container is not None
        container.delivery.flush_in_background(1)
        zespan_serverless.capture({"operation": "x"})
        zespan_serverless.flush(5)
        ours = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("zespan-")}
        assert len(ours) >= 3
        for status in Path("/proc/self/task").glob("*/status"):
            if int(status.parent.name) in ours:
                lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
                bits = int(lines["SigBlk"], 16)
                assert all(bits >> (number - 1) & 1 for number in ASKED_FOR)


@pytest.mark.slow
def test_threads_are_started_by_one_function_only() -> None:
    """No module starts a thread except through `_base.threads`."""
    for file in PACKAGE.rglob("*.py"):
        if file.name != "threads.py" and file.parent.name != "testing":
            calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
            names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
            assert not names & {"Thread", "Timer", "ThreadPoolExecutor"}, file


@pytest.mark.slow
def test_no_mask_is_changed_under_gevent() -> None:
    """Under gevent the main thread starts threads, and others run meanwhile. So no signal is blocked."""
    pytest.importorskip("gevent")
    script = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, signal, subprocess, sys
from zespan_serverless._base import threads as _threads
command = [sys.executable, "-c", "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))"]
started = gevent.spawn(lambda: subprocess.run(command))
_threads.start("zespan-test", gevent.sleep)
started.join()
"""
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert asked.stdout == "\n"


def test_raising_handler_leaves_no_lock_taken() -> None:
    """Wherever it strikes in a `with` statement, also in an inner one; and what another thread holds stays held."""

    class Timeout(Exception):
        pass

    def raises(*_: object) -> None:
        raise Timeout

    lock, dice, heard = threads.RLock(), random.Random(7), 0
    before = signal.signal(signal.SIGALRM, raises)
    try:
        for _ in range(300):
            with contextlib.suppress(Timeout):
                signal.setitimer(signal.ITIMER_REAL, dice.random() * 0.0002 + 1e-6)
                for _ in range(1000):
                    with lock, lock:
                        pass
                time.sleep(1)
            heard += 1
            assert not lock._is_owned()  # type: ignore[attr-defined]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == 300


def test_raising_handler_ends_the_wait_for_a_lock() -> None:
    """The waiting thread does not take it, and does not release what it has not taken."""

    def raises(*_: object) -> None:
        raise TimeoutError

    lock, held, over = threads.RLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    before = signal.signal(signal.SIGALRM, raises)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError), lock:
            pass
        assert not lock.acquire(blocking=False)
    finally:
        signal.signal(signal.SIGALRM, before)
        over.set()
        holder.join()
    assert lock.acquire(blocking=False)
    lock.release()
