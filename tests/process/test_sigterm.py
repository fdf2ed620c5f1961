"""SIGTERM: what is buffered is sent first, and everything else is as it would be without us."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to speak of")

ROOT = Path(__file__).parents[2]
TERMINATED = -signal.SIGTERM
"""Killed by the signal, as a process that has no handler is."""

PRELUDE = """
import asyncio, hashlib, multiprocessing, os, signal, socket, sys, threading, time
from zespan_serverless._process import sigterm as _shutdown

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
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)  # before it is waited for
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
        # The signal and a handler's head start both ask for the flush: the second one finds nothing to send.
        once = [text for number, text in enumerate(said) if text != "flushed" or text not in said[:number]]
        return End(process.returncode, once, took)


def test_without_a_handler_the_process_ends_after_the_flush() -> None:
    """The signal ends the process at once after the flush."""
    end = terminated("_shutdown.watch(flush); ready()")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])
    assert end.seconds < 4


def test_process_ends_after_the_flush_while_the_main_thread_is_in_c_code() -> None:
    """So it does while the main thread is in C code that knows no signals, as when it waits for an invocation."""
    end = terminated("""
_shutdown.watch(flush)
say("ready")
hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])
    assert end.seconds < 4


def test_a_flush_that_raises_does_not_keep_the_process_alive() -> None:
    """A flush that raises does not keep the process alive."""
    end = terminated("_shutdown.watch(lambda seconds: 1 / 0); ready()")
    assert (end.status, end.said) == (TERMINATED, [])
    assert end.seconds < 4


def test_earlier_user_handler_runs_after_the_flush() -> None:
    """A handler that was there has its turn after the flush, and decides what becomes of the process."""
    end = terminated(PATIENT + "signal.signal(signal.SIGTERM, user_exits); _shutdown.watch(flush); ready()")
    assert (end.status, end.said) == (3, ["flushed", "user"])


def test_a_deep_stack_takes_no_head_start_away() -> None:
    """A traceback of many frames, which fills the sockets that SIGTERM writes to, does not hide what the handler asks
    of the flush."""
    end = terminated(f"""
def deep(frames):
    deep(frames - 1) if frames else ready()

{PATIENT}
signal.signal(signal.SIGTERM, user_exits)
_shutdown.watch(slow_flush)
deep(150)
""")
    assert (end.status, end.said) == (3, ["flushed", "user"])


def test_a_second_signal_after_a_handler_has_restored_the_default_action() -> None:
    """It kills the process as without us, after a flush of its own: however soon it comes, and also if it comes during
    the flush of the first one."""
    end = terminated("""
def user_restores(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say("user")

count = 0

def flush_and_tell(seconds):
    global count
    count += 1
    time.sleep(0.2)
    say(f"flush {count}")

signal.signal(signal.SIGTERM, user_restores)
_shutdown.watch(flush_and_tell)
say("ready")
time.sleep(1)  # until the first signal
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
say("lived on")
""")
    assert end.status == TERMINATED
    assert {"flush 1", "flush 2", "user"} <= {*end.said}  # the handler may have asked for another flush
    assert "lived on" not in end.said


def test_an_interrupted_look_at_the_handler_does_not_keep_the_process_alive() -> None:
    """The user's alarm may raise while a new handler is found. A default action that is set later ends the process."""
    end = terminated("""
def alarm(message):
    watching._listener.send = send
    raise LookupError

signal.signal(signal.SIGTERM, user)
_shutdown.watch(flush)
watching = _shutdown._watch
send, watching._listener.send = watching._listener.send, alarm
signal.signal(signal.SIGTERM, lambda *args: None)
try:
    _shutdown.rearm()
except LookupError:
    say("interrupted")
signal.signal(signal.SIGTERM, signal.SIG_DFL)
_shutdown.rearm()
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["interrupted", "flushed"])


def test_stack_at_a_deadline_ends_in_the_users_code() -> None:
    """What is noted when SIGTERM arrives has no frames of the package, which has called the user's handler."""
    end = terminated(f"""
from zespan_serverless._process import ending

def note(seconds):
    say(ending._deadline_note(0)["stack"].splitlines()[-1])

{PATIENT}
signal.signal(signal.SIGTERM, user_exits)
_shutdown.watch(note)
ready()
""")
    assert end.said[0].endswith("in ready")


def test_later_user_handler_runs_after_the_flush_once_rearmed() -> None:
    """A handler that is set later is found at the end of an invocation."""
    script = "_shutdown.watch(slow_flush); signal.signal(signal.SIGTERM, user_exits); _shutdown.rearm(); ready()"
    end = terminated(PATIENT + script)
    assert (end.status, end.said) == (3, ["flushed", "user"])
    assert end.seconds < 4


def test_later_user_handler_runs_alone_until_rearmed() -> None:
    """Until then it has the signal alone, as without us."""
    end = terminated("_shutdown.watch(flush); signal.signal(signal.SIGTERM, user_exits); ready()")
    assert (end.status, end.said) == (3, ["user"])


def test_user_handler_does_not_wait_for_a_slow_backend() -> None:
    """The time that Lambda gives is the user's too: after 0.1 s the handler runs, and the flush goes on beside it."""
    end = terminated("signal.signal(signal.SIGTERM, user_exits); _shutdown.watch(flush_after_the_user); ready()")
    assert (end.status, end.said) == (3, ["user", "flushed"])


@pytest.mark.slow
def test_returning_handler_or_sig_ign_keeps_the_process_alive() -> None:
    """A handler that returns, or SIG_IGN, keeps the process alive as it did; what is ignored stays so."""
    for handler in ("user", "signal.SIG_IGN"):
        end = terminated(f"""
signal.signal(signal.SIGTERM, {handler})
_shutdown.watch(flush)
say("ready")
time.sleep(1)
say("lived on")
""")
        assert end.status == 0
        assert ("flushed" in end.said) is (handler == "user")
        assert end.said[-1] == "lived on"


@pytest.mark.parametrize(
    ("before", "end"), [("signal.SIG_DFL", (TERMINATED, ["flushed"])), ("user_exits", (3, ["flushed", "user"]))]
)
def test_server_that_restores_our_handler_and_raises_again_ends(before: str, end: tuple[int, list[str]]) -> None:
    """uvicorn replaces our handler, shuts down on the signal, restores our handler and raises the signal again: it ends
    the process, as it would without this package."""
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


def test_default_action_is_ours_again_after_asyncio_removed_its_handler() -> None:
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


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
def test_look_again_works_in_any_thread(thread: bool) -> None:
    """The default action that asyncio leaves behind is seen without the main thread, too, once it is looked for."""
    look = "thread = threading.Thread(target=_shutdown.look_again); thread.start(); thread.join()"
    end = terminated(f"""
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

_shutdown.watch(flush)
asyncio.run(main())
_shutdown.rearm(look=False)
{look if thread else "_shutdown.look_again()"}
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])


def test_asyncio_signal_handlers_work() -> None:
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


@pytest.mark.parametrize("users", ["signal.SIG_DFL", "signal.SIG_IGN", "user_exits"])
def test_handler_wakeup_fd_and_faulthandler_look_untouched(users: str) -> None:
    """The handler is what it was, there is no wakeup fd, and faulthandler is free for its other signals."""
    end = terminated(f"""
import faulthandler
signal.signal(signal.SIGTERM, {users})
_shutdown.watch(flush)
_shutdown.rearm()
say(str(signal.getsignal(signal.SIGTERM) == {users}))
say(str(signal.set_wakeup_fd(-1)))
say(str(faulthandler.is_enabled()))
if {users} is signal.SIG_IGN:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _shutdown.rearm()
ready()
""")
    assert end.said[:3] == ["True", "-1", "False"]
    assert "flushed" in end.said


def test_user_wakeup_fd_keeps_working() -> None:
    """The owner of the wakeup fd, such as uvloop, keeps it and gets every signal's byte; this package hears the signal
    as well."""
    end = terminated("""
mine, theirs = socket.socketpair()
mine.setblocking(False)
theirs.settimeout(2)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGTERM, user_exits)
signal.set_wakeup_fd(mine.fileno())
_shutdown.watch(flush)
_shutdown.rearm()
signal.raise_signal(signal.SIGUSR1)
say("their byte" if theirs.recv(16) == bytes([signal.SIGUSR1]) else "something else")
say(str(signal.set_wakeup_fd(mine.fileno()) == mine.fileno()))
ready()
""")
    assert (end.status, end.said) == (3, ["their byte", "True", "flushed", "user"])


HANDS_ON = """
def chained(after=lambda: None):
    def handler(number, frame):
        say("cleaned up")
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        say("handed on")
    previous = signal.signal(signal.SIGTERM, handler)
"""


@pytest.mark.parametrize("armed", ["before", "after", "both"])
def test_handler_that_restores_the_default_and_raises_again_ends_the_process(armed: str) -> None:
    """What many libraries do: clean up, then let happen what would have. The process dies of the signal, flushed."""
    before, after = ("_shutdown.watch(flush)" if armed in (when, "both") else "pass" for when in ("before", "after"))
    end = terminated(f"{PATIENT}{HANDS_ON}{before}; chained(); {after}; _shutdown.rearm(); ready()")
    assert (end.status, end.said) == (TERMINATED, ["flushed", "cleaned up"])


@pytest.mark.slow
def test_chained_handlers_run_once_each() -> None:
    """Two of the user's handlers, with our handler before, between and after: each runs once, and the first one decides
    what happens."""
    end = terminated(f"""
{PATIENT}{HANDS_ON}
_shutdown.watch(flush)
signal.signal(signal.SIGTERM, user)
_shutdown.rearm()
chained()
_shutdown.rearm()
chained()
_shutdown.rearm()
say("ready")
time.sleep(1)
say("lived on")
""")
    assert end.status == 0
    assert end.said == ["flushed", "cleaned up", "cleaned up", "user", "handed on", "handed on", "lived on"]


def test_handler_of_a_self_sent_signal_runs_before_the_next_line() -> None:
    """It has run when the next line does."""
    end = terminated("""
signal.signal(signal.SIGTERM, user)
_shutdown.watch(flush)
for _ in range(3):
    os.kill(os.getpid(), signal.SIGTERM)
    say("next line")
signal.signal(signal.SIGTERM, signal.SIG_DFL)
_shutdown.rearm()
ready()
""")
    assert [text for text in end.said if text != "flushed"] == ["user", "next line"] * 3
    assert end.status == TERMINATED


def test_default_socket_timeout_does_not_affect_the_watch() -> None:
    """The timeout that a script sets for its sockets is none for us."""
    end = terminated("socket.setdefaulttimeout(0.1); _shutdown.watch(flush); time.sleep(0.5); ready()")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])


def test_a_blocked_sigterm_stays_pending() -> None:
    """A signal that is blocked waits until it is unblocked or asked for: our threads do not take it."""
    end = terminated("""
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGINT})
_shutdown.watch(flush)
for number in (signal.SIGUSR1, signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.1)
    say(signal.sigtimedwait({number}, 2).si_signo == number and "waited for")
say("ready")
time.sleep(0.5)
say("critical section")
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
time.sleep(5)
""")
    assert (end.status, end.said) == (TERMINATED, ["waited for"] * 2 + ["critical section", "flushed"])


def test_our_threads_do_not_receive_what_the_main_thread_blocks_later() -> None:
    """What the main thread blocks after we have started is not taken by us either."""
    end = terminated("""
_shutdown.watch(flush)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
os.kill(os.getpid(), signal.SIGUSR2)
time.sleep(0.1)
say("alive")
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["alive", "flushed"])


@pytest.mark.parametrize("chain", [True, False])
def test_faulthandler_registered_before_us_keeps_sigterm(chain: bool) -> None:
    """Who has registered SIGTERM with faulthandler before us keeps it, and what it does."""
    end = terminated(f"""
import faulthandler
faulthandler.register(signal.SIGTERM, file=1, all_threads=False, chain={chain})
_shutdown.watch(flush)
_shutdown.rearm()
say("ready")
time.sleep(0.5)
say("lived on")
""")
    assert end.status == (TERMINATED if chain else 0)
    assert any("most recent call first" in line for line in end.said)
    assert ("lived on" in end.said) is not chain


def test_faulthandler_registered_after_us_keeps_sigterm() -> None:
    """It keeps the signal, however many invocations follow."""
    end = terminated("""
import faulthandler
_shutdown.watch(flush)
faulthandler.register(signal.SIGTERM, file=1, all_threads=False)
_shutdown.rearm()
say("ready")
time.sleep(0.5)
say("lived on")
""")
    assert (end.status, end.said[-1]) == (0, "lived on")
    assert any("most recent call first" in line for line in end.said)


def test_later_faulthandler_that_chains_prints_one_traceback() -> None:
    """Its traceback is printed once, and the signal ends the process."""
    end = terminated("""
import faulthandler
_shutdown.watch(flush)
faulthandler.register(signal.SIGTERM, file=1, all_threads=False, chain=True)
ready()
""")
    assert end.status == TERMINATED
    assert sum("most recent call first" in line for line in end.said) == 1


def test_started_program_inherits_sig_ign() -> None:
    """It inherits that the signal is ignored."""
    end = terminated("""
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
_shutdown.watch(flush)
_shutdown.rearm()
child = subprocess.Popen([sys.executable, "-c", "import signal; print(signal.getsignal(15) is signal.SIG_IGN)"])
child.wait()
say("ready")
""")
    assert end.said[0] == "True"


def test_sigterm_right_after_fork_ends_the_child_only() -> None:
    """A child that is terminated as soon as it is there dies of it, and its parent does not."""
    end = terminated("""
_shutdown.watch(flush)
ends = set()
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    ends.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
say(str(ends))
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["{-15}", "flushed"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="who has sent what is known on Linux only")
def test_child_forked_by_c_code_does_not_notify_its_parent() -> None:
    """No fork hook runs in such a child: at least it does not receive its parent's signals."""
    end = terminated("""
import ctypes
_shutdown.watch(flush)
pid = ctypes.PyDLL(None).fork()  # with the interpreter's lock, which nobody would release in the child
if pid == 0:
    time.sleep(1)
    os._exit(0)
time.sleep(0.1)
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)
say("alive")
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["alive", "flushed"])


def test_handler_that_restores_the_default_survives_its_own_signal() -> None:
    """It has had the signal, which ends nothing then; the next one does."""
    end = terminated("""
def once(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say("user")

signal.signal(signal.SIGTERM, once)
_shutdown.watch(slow_flush)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.5)
say("alive")
_shutdown.rearm()
ready()
""")
    assert end.status == TERMINATED
    assert end.said.index("user") < 2
    assert "alive" in end.said


def test_process_ends_although_the_flush_hangs() -> None:
    """The flush may hang in a log handler, for example."""
    end = terminated("_shutdown.watch(lambda seconds: time.sleep(30)); ready()")
    assert (end.status, end.said) == (TERMINATED, [])
    assert end.seconds < 4


@pytest.mark.slow
def test_gevent_signal_handler_stays() -> None:
    """It is set in C, where Python does not see it: it stays, whatever invocations there are."""
    pytest.importorskip("gevent")
    end = terminated("""
import gevent
_shutdown.watch(flush)
gevent.signal_handler(signal.SIGTERM, lambda: (say("gevent"), os._exit(4)))
_shutdown.rearm()
say("ready")
gevent.sleep(5)
""")
    assert (end.status, end.said) == (4, ["gevent"])


@pytest.mark.parametrize("rearm", ["pass", "_shutdown.rearm()"])
def test_forked_child_keeps_the_user_handler(rearm: str) -> None:
    """One that was set after us is there in a child, too."""
    end = terminated(f"""
os.register_at_fork(after_in_child=_shutdown.reset)
_shutdown.watch(flush)
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
{rearm}
pid = os.fork()
if pid == 0:
    signal.raise_signal(signal.SIGTERM)
    os._exit(0)
say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
ready()
""")
    assert (end.status, end.said[0]) == (5, "5")


COPY = """
import importlib.util
def copy():
    spec = importlib.util.find_spec("zespan_serverless._process.sigterm")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
"""


@pytest.mark.parametrize("handler", ["signal.SIG_DFL", "user_exits"])
@pytest.mark.parametrize("last", ["first", "second"])
def test_a_second_copy_of_the_package_flushes_too(handler: str, last: str) -> None:
    """After a reload, or with a vendored copy beside a layer's: both flush, and the process ends as without us."""
    end = terminated(f"""
{PATIENT}{COPY}
first, second = _shutdown, copy()
second.HEAD_START = 3.0
signal.signal(signal.SIGTERM, {handler})
first.watch(lambda seconds: say("first"))
second.watch(lambda seconds: say("second"))
{last}.rearm()
ready()
""")
    assert end.status == (TERMINATED if handler == "signal.SIG_DFL" else 3)
    assert sorted(set(end.said)) == sorted({"first", "second", *(["user"] if handler == "user_exits" else [])})


def test_first_copy_listens_again_after_the_second_is_reset() -> None:
    """When a second copy has forgotten everything, the first one listens again."""
    end = terminated(f"""
{COPY}
first, second = _shutdown, copy()
first.watch(flush)
second.watch(lambda seconds: say("second"))
second.reset()
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
@pytest.mark.parametrize("how", ["os", "multiprocessing"])
def test_a_forked_child_dies_of_sigterm_and_flushes_nothing(how: str, thread: bool) -> None:
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
os.register_at_fork(after_in_child=_shutdown.reset)
_shutdown.watch(flush)
{fork if how == "os" else multi}
{run}
time.sleep(0.1)
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["child -15", "flushed"])


@pytest.mark.parametrize("users", ["signal.SIG_DFL", "user_exits"])
def test_reset_restores_handler_end_and_descriptors(users: str) -> None:
    """After `reset` the handler, the end of the process and the descriptors are as before."""
    end = terminated(f"""
descriptors = len(os.listdir("/proc/self/fd"))
signal.signal(signal.SIGTERM, {users})
_shutdown.watch(flush)
_shutdown.reset()
say("handler " + str(signal.getsignal(signal.SIGTERM) is {users}))
time.sleep(0.1)
say("descriptors " + str(len(os.listdir("/proc/self/fd")) - descriptors))
ready()
""")
    users_end = (3, ["user"]) if users == "user_exits" else (TERMINATED, [])
    assert (end.status, end.said) == (users_end[0], ["handler True", "descriptors 0", *users_end[1]])


@pytest.mark.parametrize("up_to", [256, 4096], ids=["some", "all"])
@pytest.mark.parametrize("rearm", ["pass", "_shutdown.rearm()"])
def test_sigterm_ends_a_function_that_closes_all_descriptors(rearm: str, up_to: int, tmp_path: Path) -> None:
    """A function that closes every file it finds still ends on SIGTERM, and nothing gets into its next files."""
    end = terminated(f"""
_shutdown.watch(flush)
os.closerange(3, {up_to})
files = [open({str(tmp_path / "file")!r} + str(number), "wb") for number in range(40)]
time.sleep(0.1)
{rearm}
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["flushed"])
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [0] * 40


def test_signal_ends_the_process_when_no_sockets_can_be_opened() -> None:
    """The signal ends the process as it would without us, unheard, whatever invocations there are."""
    end = terminated("""
import resource
_shutdown.watch(flush)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
os.closerange(3, 4096)
time.sleep(0.2)
_shutdown.rearm()
_shutdown.look_again()
ready()
""")
    assert (end.status, end.said) == (TERMINATED, [])
    assert end.seconds < 4


def test_the_watch_can_be_set_from_another_thread() -> None:
    """A request that is served in a pool's thread may be the first: the watch is set from there, too."""
    end = terminated("""
def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()

in_thread(_shutdown.watch, flush)
in_thread(_shutdown.rearm)
say(str(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL))
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["True", "flushed"])


def test_trio_finds_no_foreign_wakeup_fd() -> None:
    """trio warns of a wakeup fd that is not its own, which is an error under -W error."""
    end = terminated("""
import trio, warnings
warnings.simplefilter("error")

async def main():
    await trio.sleep(0)
    _shutdown.rearm()
    say("ran")

_shutdown.watch(flush)
trio.run(main)
_shutdown.rearm()
trio.run(main)
ready()
""")
    assert (end.status, end.said) == (TERMINATED, ["ran", "ran", "flushed"])
