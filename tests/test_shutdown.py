"""SIGTERM: what is buffered is sent first, and everything else is as it would be without us."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to speak of")

ROOT = Path(__file__).parent.parent
TERMINATED = 128 + signal.SIGTERM

PRELUDE = """
import asyncio, hashlib, multiprocessing, os, signal, socket, sys, threading, time
from zespan_serverless import _shutdown

def say(text):
    os.write(1, text.encode() + b"\\n")

def flush(seconds):
    say("flushed")

def slow_flush(seconds):
    time.sleep(0.1)
    say("flushed")

def flush_after_the_user(seconds):
    users_turn.wait(3)
    say("flushed")

def user(number, frame):
    say("user")

users_turn = threading.Event()

def user_exits(number, frame):
    say("user")
    users_turn.set()
    sys.exit(3)

def ready():
    say("ready")
    time.sleep(5)
    say("lived on")
"""

PATIENT = "_shutdown.HEAD_START = 3.0;"
"""The flush comes first, however busy the machine is."""


class End(NamedTuple):
    status: int
    said: list[str]
    seconds: float


def terminated(script: str) -> End:
    """Run a script until it says that it is ready, send it SIGTERM, and see how it ends."""
    command = [sys.executable, "-c", PRELUDE + script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            if line == "ready\n":
                break
            said.append(line.strip())
        time.sleep(0.05)  # it says so just before it is
        sent = time.monotonic()
        process.terminate()
        rest, _ = process.communicate(timeout=20)
        took = time.monotonic() - sent
        said += rest.split("\n")[:-1]
        # Handler and wakeup fd may both have asked for the flush: the second one finds nothing to send.
        once = [text for number, text in enumerate(said) if text != "flushed" or text not in said[:number]]
        return End(process.returncode, once, took)


def test_default() -> None:
    """Without a handler of the user's the process ends by itself, at once, after the flush."""
    end = terminated("_shutdown.watch(flush); ready()")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])
    assert end.seconds < 4


def test_main_thread_blocked_in_c() -> None:
    """So it does while the main thread is in C code that knows no signals, as when it waits for an invocation."""
    end = terminated("""
_shutdown.watch(flush)
say("ready")
hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])
    assert end.seconds < 4


def test_flush_that_fails() -> None:
    """A flush that raises does not keep the process alive."""
    end = terminated("_shutdown.watch(lambda seconds: 1 / 0); ready()")
    assert (end.status, end.said) == (TERMINATED, [])
    assert end.seconds < 4


def test_users_handler_set_before() -> None:
    """A handler that was there has its turn after the flush, and decides what becomes of the process."""
    end = terminated(PATIENT + "signal.signal(signal.SIGTERM, user_exits); _shutdown.watch(flush); ready()")
    assert (end.status, end.said) == (3, ["flushed", "user"])


@pytest.mark.parametrize("rearm", ["_shutdown.rearm()", "pass"])
def test_users_handler_set_after(rearm: str) -> None:
    """So does one that is set later, whether or not there has been an invocation since."""
    end = terminated(f"_shutdown.watch(slow_flush); signal.signal(signal.SIGTERM, user_exits); {rearm}; ready()")
    assert (end.status, set(end.said)) == (3, {"flushed", "user"})
    assert end.seconds < 4


def test_users_handler_does_not_wait_for_a_slow_backend() -> None:
    """The time that Lambda gives is the user's too: after 0.1 s the handler runs, and the flush goes on beside it."""
    end = terminated("signal.signal(signal.SIGTERM, user_exits); _shutdown.watch(flush_after_the_user); ready()")
    assert (end.status, end.said) == (3, ["user", "flushed"])


def test_users_handler_that_returns() -> None:
    """A handler that returns, or SIG_IGN, keeps the process alive as it did."""
    for handler in ("user", "signal.SIG_IGN"):
        end = terminated(f"""
signal.signal(signal.SIGTERM, {handler})
_shutdown.watch(flush)
say("ready")
time.sleep(1)
say("lived on")
""")
        assert end.status == 0
        assert "flushed" in end.said
        assert end.said[-1] == "lived on"


@pytest.mark.parametrize(
    ("before", "end"), [("signal.SIG_DFL", (-signal.SIGTERM, ["flushed"])), ("user_exits", (3, ["flushed", "user"]))]
)
def test_a_server_that_puts_back_what_it_found(before: str, end: tuple[int, list[str]]) -> None:
    """uvicorn replaces our handler, ends in peace when told, puts ours back and raises the signal again: it ends the
    process, as it would without us."""
    ended = terminated(f"""
{PATIENT}
signal.signal(signal.SIGTERM, {before})
_shutdown.watch(flush)
stop = threading.Event()
found = signal.signal(signal.SIGTERM, lambda *_: stop.set())
_shutdown.rearm()
say("ready")
stop.wait(5)
_shutdown.rearm()
signal.signal(signal.SIGTERM, found)
signal.raise_signal(signal.SIGTERM)
time.sleep(5)
say("lived on")
""")
    assert (ended.status, ended.said[: len(end[1])]) == end
    assert "lived on" not in ended.said


def test_asyncios_handlers_come_and_go() -> None:
    """asyncio's remove_signal_handler leaves the default action behind; the next invocation puts ours back."""
    end = terminated("""
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

_shutdown.watch(flush)
asyncio.run(main())
_shutdown.rearm()
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])


def test_asyncios_handlers_stay() -> None:
    """A loop's own signal handlers go on working beside ours."""
    end = terminated("""
async def main():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, lambda: (say("loop"), done.set()))
    _shutdown.rearm()
    say("ready")
    await asyncio.wait_for(done.wait(), 5)

_shutdown.watch(flush)
asyncio.run(main())
""")
    assert (end.status, set(end.said)) == (0, {"flushed", "loop"})


def test_wakeup_fd_in_other_hands() -> None:
    """While somebody else has the wakeup fd, as uvloop does while it runs, our handler tells the thread."""
    end = terminated("""
_shutdown.watch(flush)
mine, theirs = socket.socketpair()
mine.setblocking(False)
signal.set_wakeup_fd(mine.fileno())
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])


def test_wakeup_bytes_are_passed_on() -> None:
    """Whoever had the wakeup fd gets every signal's byte, as long as he wants it: a closed number may be anybody's."""
    end = terminated("""
_shutdown.watch(flush)
mine, theirs = socket.socketpair()
mine.setblocking(False)
theirs.settimeout(2)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.set_wakeup_fd(mine.fileno())
_shutdown.rearm()
signal.raise_signal(signal.SIGUSR1)
say("their byte" if theirs.recv(16) == bytes([signal.SIGUSR1]) else "something else")
signal.set_wakeup_fd(-1)
_shutdown.rearm()
signal.raise_signal(signal.SIGUSR1)
time.sleep(0.2)
theirs.setblocking(False)
try:
    say(repr(theirs.recv(16)))
except BlockingIOError:
    say("no more bytes")
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["their byte", "no more bytes", "flushed"])


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
@pytest.mark.parametrize("how", ["os", "multiprocessing"])
def test_forked_child(how: str, thread: bool) -> None:
    """A forked child dies of SIGTERM and flushes nothing, and its parent does not take the signal for its own."""
    fork = """
def start():
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    time.sleep(0.1)
    os.kill(pid, signal.SIGTERM)
    say(f"child {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
"""
    multi = """
def start():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(5,))
    child.start()
    time.sleep(0.1)
    child.terminate()
    child.join()
    say(f"child {child.exitcode}")
"""
    run = "thread = threading.Thread(target=start); thread.start(); thread.join()" if thread else "start()"
    end = terminated(f"""
os.register_at_fork(after_in_child=_shutdown.forget)
_shutdown.watch(flush)
{fork if how == "os" else multi}
{run}
time.sleep(0.1)
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["child -15", "flushed"])


def test_forget() -> None:
    """After forget everything is as it was before: the handler, the wakeup fd, the exit."""
    end = terminated("""
mine, theirs = socket.socketpair()
mine.setblocking(False)
signal.signal(signal.SIGTERM, user_exits)
signal.set_wakeup_fd(mine.fileno())
_shutdown.watch(flush)
_shutdown.forget()
say("handler " + str(signal.getsignal(signal.SIGTERM) is user_exits))
say("fd " + str(signal.set_wakeup_fd(-1) == mine.fileno()))
ready()
""")
    assert (end.status, end.said) == (3, ["handler True", "fd True", "user"])


@pytest.mark.parametrize(
    ("rearm", "end"), [("pass", (TERMINATED, ["flushed"])), ("_shutdown.rearm()", (-signal.SIGTERM, []))]
)
def test_function_that_closes_all_files(rearm: str, end: tuple[int, list[str]]) -> None:
    """A function that closes every file it finds is not harmed, and still ends on SIGTERM."""
    assert terminated(f"_shutdown.watch(flush); os.closerange(3, 256); {rearm}; ready()")[:2] == end


def test_other_threads() -> None:
    """Signals are the main thread's: watch, rearm and forget in another one change nothing."""
    end = terminated("""
def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()

in_thread(_shutdown.watch, flush)
say(str(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL))
_shutdown.watch(flush)
in_thread(_shutdown.rearm)
in_thread(_shutdown.forget)
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["True", "flushed"])
