"""Children that are forked while one of our threads imports something."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from zespan_serverless._base import forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")

HANDLER = """
import os, sys, threading, time
from zespan_serverless import zespan_lambda

class Slow:
    importing = threading.Event()

    def find_spec(self, name, *_):
        if name == "ssl":
            self.importing.set()
            time.sleep(0.2)

@zespan_lambda(api_key="k", base_url="https://127.0.0.1:9", flush_timeout=0.5)
def handler(event, context):
    assert Slow.importing.wait(5)
    child = os.fork()
    if not child:
        import ssl
        os._exit(0)
    return os.waitpid(child, 0)[1]

sys.meta_path.insert(0, Slow())
os._exit(handler({}, None))
"""


def fork() -> int:
    """Return a child that begins an import, and ends."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()
    if not child:
        with forks.importing():
            os._exit(0)
    return child


def test_fork_waits_until_no_thread_imports() -> None:
    """The fork happens when no thread imports any more, and parent and child can import and fork again."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        with forks.importing():
            begun.set()
            time.sleep(0.2)
            over.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    child = fork()
    assert over.is_set()
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert os.waitpid(fork(), 0)[1] == 0


def test_fork_waits_until_no_other_thread_imports_a_module_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's thread imports it when it needs it first. The child can import it, too."""
    begun, over = threading.Event(), threading.Event()

    class Slow(Loader):
        def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
            return ModuleSpec(name, self) if name == "zespan_serverless.slow" else None

        def exec_module(self, module: ModuleType) -> None:
            begun.set()
            time.sleep(0.2)
            over.set()

    def work() -> None:
        importlib.import_module("zespan_serverless.slow")
        del sys.modules["zespan_serverless.slow"]

    monkeypatch.setattr(sys, "meta_path", [Slow(), *sys.meta_path])
    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    child = fork()
    assert over.is_set()
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


@pytest.fixture
def import_elsewhere() -> Iterator[threading.Event]:
    """A thread that imports until the event is set."""
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with forks.importing():
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    yield end
    end.set()
    thread.join()
    assert not forks._importing


def is_free() -> bool:
    """Whether one of our threads can begin an import at once."""
    done = threading.Event()

    def work() -> None:
        with forks.importing():
            done.set()

    threading.Thread(target=work, daemon=True).start()
    return done.wait(2)


def test_fork_happens_although_an_import_hangs(
    monkeypatch: pytest.MonkeyPatch, import_elsewhere: threading.Event
) -> None:
    """An import that hangs delays it, and is not in the child's way."""
    monkeypatch.setattr(forks, "_WAIT_MAX", 0.05)
    assert os.waitpid(fork(), 0)[1] == 0
    assert os.waitpid(fork(), 0)[1] == 0


def test_fork_inside_an_import_does_not_wait_for_itself() -> None:
    """It does not wait for itself, and who goes on in the child has left what he was in."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        with forks.importing():
            child = os.fork()
        if not child:
            os._exit(bool(forks._importing))
    assert os.waitpid(child, 0)[1] == 0
    assert not forks._importing


class Timeout(Exception):
    """What a handler of SIGALRM raises."""


@pytest.fixture
def alarm() -> Iterator[Callable[[float], object]]:
    """alarm(seconds): a signal whose handler raises."""

    def raises(*_: object) -> None:
        raise Timeout

    before = signal.signal(signal.SIGALRM, raises)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_alarm_while_a_fork_waits_leaves_nothing_locked(
    import_elsewhere: threading.Event, alarm: Callable[[float], object]
) -> None:
    """The fork takes place, and nothing stays held: our threads can import, and others can fork."""
    alarm(0.05)
    assert os.waitpid(fork(), 0)[1] == 0
    assert is_free()
    import_elsewhere.set()
    assert os.waitpid(fork(), 0)[1] == 0
    assert is_free()


def test_alarm_during_an_import_leaves_nothing_locked_or_counted(alarm: Callable[[float], object]) -> None:
    """In the user's thread, where there is no other: nothing stays held or counted, and the alarm is heard."""
    dice, heard = random.Random(3), 0
    for _ in range(300):
        try:
            alarm(dice.random() * 0.0002 + 1e-6)
            for _ in range(100):
                with forks.importing():
                    pass
            time.sleep(0.001)
        except Timeout:
            heard += 1
    assert heard == 300
    assert not forks._importing
    assert is_free()


def test_child_forked_by_a_handler_can_import_what_the_sender_imports() -> None:
    """Its child can import the same."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", HANDLER], check=True, timeout=10)
