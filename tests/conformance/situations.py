"""Situations that processes get into. Each is a function: a program that uses one room.

The program runs with and without the package; its output, its end and its stderr have to be the same. `door.here()`
marks where the package may come first: in a run of that kind, a function is decorated and called at this point.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from tests.conformance.program import (
    FOLDER,
    LONG,
    Door,
    event,
    fails,
    flush,
    linger,
    say,
    send,
    sends,
    steps,
    until,
    work,
)
from tests.conformance.rooms import Room

Play = Callable[[Door], object]


class Situation(NamedTuple):
    group: str
    play: Play
    twice: bool
    """Whether it calls `door.here()`, and so runs with the package first, too."""
    few: bool
    """Whether it runs with a few rooms only, because all rooms behave alike, or because it takes long."""
    fits: Callable[[Room], bool]
    needs: tuple[str, ...]
    """Packages that it needs, and that may be missing."""


SITUATIONS: dict[str, Situation] = {}


def situation(
    group: str,
    name: str = "",
    *,
    twice: bool = False,
    few: bool = False,
    fits: Callable[[Room], bool] = lambda room: True,
    needs: tuple[str, ...] = (),
) -> Callable[[Play], Play]:
    """Put a program into the table, under its name."""

    def added(play: Play) -> Play:
        SITUATIONS[name or play.__name__] = Situation(group, play, twice, few, fits, needs)
        return play

    return added


def is_sync(room: Room) -> bool:
    return not room.awaits


def _as_many(calls: list[int], count: int) -> bool:
    return len(calls) == count


# ---------------------------------------------------------------------- signals that are blocked

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@situation("blocked", twice=True)
def critical_section(door: Door) -> None:
    """What is blocked waits, whatever it is; SIGTERM ends the process at the end of the section."""
    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    door.serve(steps(event, *map(sends, STOPS)))
    time.sleep(0.03)
    say("pending", sorted(signal.sigpending()), "blocked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    door.serve()
    for number in STOPS[1:]:
        taken = signal.sigtimedwait([number], LONG)
        say("taken", taken and taken.si_signo)
    say("the end of the section")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    linger()


@situation("blocked", few=True)
def critical_section_to_the_end(door: Door) -> None:
    """A process that exits while SIGTERM is blocked and pending exits as it wants to."""
    door.serve()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    send(signal.SIGTERM)
    event()
    sys.exit(4)


@situation("blocked", twice=True)
def thread_that_waits_for_signals(door: Door) -> None:
    """`sigwait` in a thread, as POSIX recommends to programs with threads."""
    heard: list[int] = []

    def wait() -> None:
        while signal.SIGTERM not in heard:
            number = signal.sigwait(STOPS)
            say("heard", int(number))
            heard.append(number)

    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    thread = threading.Thread(target=wait)
    thread.start()
    for count, number in enumerate((signal.SIGUSR1, signal.SIGINT, signal.SIGUSR2), 1):
        door.serve(steps(event, sends(number)))
        until(partial(_as_many, heard, count))
    send(signal.SIGTERM)
    thread.join(LONG)
    door.serve()


@situation("blocked", twice=True, few=True)
def signalfd(door: Door) -> None:
    """Signals that are read from a descriptor, as event loops in C do."""
    import ctypes
    import select

    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    libc = ctypes.CDLL(None, use_errno=True)
    mask = (ctypes.c_uint8 * 128)()
    for number in STOPS:
        mask[(number - 1) // 8] |= 1 << (number - 1) % 8
    fd = libc.signalfd(-1, mask, os.O_CLOEXEC)
    for number in STOPS:
        door.serve(steps(event, sends(number)))
        ready, _, _ = select.select([fd], [], [], LONG)
        say("read", int.from_bytes(os.read(fd, 128)[:4], sys.byteorder) if ready else None)


# ---------------------------------------------------------------------- handlers of signals


class Stop(Exception):
    """Raised by a handler."""


@situation("handlers", twice=True)
def handler_that_returns_raises_and_exits(door: Door) -> None:
    """A handler for SIGTERM does what it does, between invocations and in them, and decides about the process."""
    door.here()
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        say("call", len(calls), "signal", number)
        if len(calls) == 3:
            raise Stop
        if len(calls) == 4:
            sys.exit(5)

    signal.signal(signal.SIGTERM, handler)
    say(door.serve())
    send(signal.SIGTERM)
    until(partial(_as_many, calls, 1))
    say(door.serve(steps(work, sends(signal.SIGTERM), partial(until, partial(_as_many, calls, 2)))))
    event()
    try:
        send(signal.SIGTERM)
        linger()
    except Stop:
        say("caught")
    say(door.serve())
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True, few=True)
def handler_that_raises_in_an_invocation(door: Door) -> None:
    """What it raises comes out of the invocation, once."""
    door.here()

    def handler(number: int, frame: object) -> None:
        raise Stop

    signal.signal(signal.SIGTERM, handler)
    for _ in range(2):
        try:
            door.serve(steps(event, sends(signal.SIGTERM), linger))
        except Stop:
            say("caught")
        say(door.serve())


@situation("handlers", twice=True, few=True)
def handlers_of_other_signals(door: Door) -> None:
    """Every other signal is none of our business."""
    door.here()
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda number, frame: say("signal", number))
        door.serve(steps(event, sends(number)))
        send(number)
    flush()
    send(signal.SIGUSR2)
    linger()


@situation("handlers", twice=True)
def libraries_that_hand_on(door: Door) -> None:
    """Two libraries that clean up and hand on to whom they found: in the end the process is killed by SIGTERM."""
    _clean_up_and_hand_on("one")
    door.here()
    _clean_up_and_hand_on("two")
    door.serve()
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", few=True)
def libraries_above_us_that_hand_on(door: Door) -> None:
    """The same, set in an invocation and after it."""
    door.serve(steps(event, partial(_clean_up_and_hand_on, "one")))
    _clean_up_and_hand_on("two")
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True, few=True)
def libraries_that_hand_on_to_a_handler(door: Door) -> None:
    """With a handler at the bottom that returns, all go on to their ends, each time, and the process, too."""
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        say("handler")

    signal.signal(signal.SIGTERM, handler)
    door.here()
    _clean_up_and_hand_on("one")
    door.serve()
    door.serve(steps(event, partial(_clean_up_and_hand_on, "two")))
    for count in (1, 2):
        door.serve(steps(event, sends(signal.SIGTERM), partial(until, partial(_as_many, calls, count))))
        event()
    door.serve()


def _clean_up_and_hand_on(name: str) -> None:
    def handler(number: int, frame: Any) -> None:
        say(name, "cleans up")
        if callable(previous):
            previous(number, frame)
            say(name, "has handed on")
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            send(number)

    previous = signal.signal(signal.SIGTERM, handler)


@situation("handlers", few=True)
def handler_that_comes_and_goes(door: Door) -> None:
    """Code that restores the handler that it found has what it would have without this package."""
    door.serve()
    found = signal.signal(signal.SIGTERM, lambda number, frame: say("mine"))
    door.serve(steps(event, sends(signal.SIGTERM)))
    signal.signal(signal.SIGTERM, found)
    door.serve()
    send(signal.SIGTERM)
    linger()


@situation("handlers", few=True, twice=True)
def ignored(door: Door) -> None:
    """SIG_IGN ignores; SIG_DFL, set again, ends."""
    door.here()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    door.serve(steps(event, sends(signal.SIGTERM)))
    send(signal.SIGTERM)
    time.sleep(0.03)
    say("lives")
    door.serve()
    flush()  # only the kernel handles the next one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True)
def callbacks_at_exit(door: Door) -> None:
    """They run in their order, after a handler that exits, and what they capture is sent, or said to be lost."""
    import atexit

    atexit.register(say, "registered first")
    atexit.register(event)
    door.here()
    atexit.register(say, "registered second")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
    door.serve()
    atexit.register(say, "registered third")
    atexit.register(event)
    send(signal.SIGTERM)
    linger()


# ---------------------------------------------------------------------- sockets


@situation("sockets", twice=True)
def default_timeout(door: Door) -> None:
    """`socket.setdefaulttimeout` is for the user's sockets; SIGTERM is heard after that time, too."""
    import socket

    door.here()
    socket.setdefaulttimeout(0.02)
    door.serve()
    time.sleep(0.06)
    event()
    send(signal.SIGTERM)
    linger()


@situation("sockets", few=True)
def default_timeout_with_a_handler(door: Door) -> None:
    """The same with the user's handler, and with later ones."""
    import socket

    calls: list[int] = []
    socket.setdefaulttimeout(0.02)
    signal.signal(signal.SIGTERM, lambda number, frame: calls.append(number))
    for count in (1, 2):
        door.serve()
        time.sleep(0.06)
        send(signal.SIGTERM)
        until(partial(_as_many, calls, count))
        event()
    with socket.socket() as theirs:
        say(calls, socket.getdefaulttimeout(), theirs.gettimeout())


# ---------------------------------------------------------------------- descriptors


class Files:
    """Files that the user opens, which take the free numbers."""

    def __init__(self, count: int = 24) -> None:
        self._fds = [os.memfd_create(f"file {n}") for n in range(count)]
        for n, fd in enumerate(self._fds):
            os.write(fd, self._content(n))

    def check(self) -> None:
        """Say what has become of them."""
        for n, fd in enumerate(self._fds):
            try:
                found = os.pread(fd, 100_000, 0)
            except OSError as error:
                say("file", n, error.strerror)
                continue
            if found != self._content(n):
                say("file", n, "has changed:", len(found), "bytes")
        say("all looked at")

    @staticmethod
    def _content(n: int) -> bytes:
        return b"%4d" % n * 1000


@contextlib.contextmanager
def _kept_whole() -> Iterator[None]:
    files = Files()
    yield
    files.check()
    event()
    signal.signal(signal.SIGTERM, lambda number, frame: say("handler"))
    send(signal.SIGTERM)
    time.sleep(0.01)
    files.check()
    import atexit

    atexit.register(files.check)  # runs before what was registered earlier, ours included
    atexit.register(event)


@situation("descriptors", fits=is_sync)
def all_closed(door: Door) -> None:
    """A function that closes every descriptor it finds, and opens files, has these files for itself."""
    door.serve()
    door.serve(steps(event, partial(os.closerange, 3, 256)))
    with _kept_whole():
        for _ in range(3):
            door.serve()
        say(door.serve())


@situation("descriptors")
def closed_twice(door: Door) -> None:
    """A descriptor that is closed once too often: harmless unless other code has its number."""
    theirs = [os.open(os.devnull, os.O_RDONLY) for _ in range(16)]
    for fd in theirs:
        os.close(fd)
    door.serve()
    for fd in theirs:
        if not (door.room.keeps_loop and _is_loops(fd)):
            with contextlib.suppress(OSError):
                os.close(fd)
    with _kept_whole():
        for _ in range(3):
            door.serve()


def _is_loops(fd: int) -> bool:
    """Without us the loop's would be broken, too."""
    try:
        kind = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 (pathlib takes long to import)
    except OSError:
        return False
    return "eventpoll" in kind or "socket" in kind


# ---------------------------------------------------------------------- timeouts by SIGALRM


class Alarm(Exception):
    """A timeout's."""


class Alarms:
    """How many have gone off, and how many have reached their owner.

    Apart from those that the interpreter itself swallows, in finalizers and callbacks of weak references.
    """

    def __init__(self) -> None:
        self.fired = self.seen = 0
        signal.signal(signal.SIGALRM, self._strike)
        sys.unraisablehook = self._swallowed_by_python

    def _swallowed_by_python(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Alarm):
            self.seen += 1
        else:
            sys.__unraisablehook__(unraisable)

    def _strike(self, number: int, frame: object) -> None:
        self.fired += 1
        raise Alarm

    def during(self, does: Callable[[], object], longest: float) -> None:
        """Do it with an alarm within so many seconds, if it takes so long."""
        import random

        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, longest))
            does()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            self.seen += 1
            raise


def _capture_much() -> None:
    import zespan_serverless

    for _ in range(4):
        zespan_serverless.capture({"operation": "long", "prompt_text": "x" * 50_000})


def _go_on(door: Door) -> None:
    """What comes after is as if nothing had been: other threads find no lock held, and invocations are complete."""
    thread = threading.Thread(target=steps(event, flush), daemon=True)
    thread.start()
    thread.join(LONG / 2)
    say("other threads hang" if thread.is_alive() else "other threads go on")
    for _ in range(3):
        say(door.serve())


@situation("alarms")
def alarms_while_it_captures(door: Door) -> None:
    """An alarm that goes off while the function captures comes out of the function, and of the invocation."""
    alarms = Alarms()

    fired = 0

    def captures() -> None:
        _capture_much()
        until(lambda: alarms.fired > fired)

    door.serve()
    for _ in range(20):
        fired = alarms.fired  # now: the interpreter may swallow one that strikes before anything is captured
        with contextlib.suppress(Alarm):
            door.serve(lambda: alarms.during(captures, 0.002))
    say(alarms.fired, "fired", alarms.seen, "seen")
    _go_on(door)


@situation("alarms", fits=is_sync)
def alarms_at_any_time(door: Door) -> None:
    """So does one that goes off before the function is called, or after it has returned.

    Not with asyncio around, which itself swallows what strikes its own callbacks.
    """
    alarms = Alarms()
    door.serve()
    for _ in range(40):
        with contextlib.suppress(Alarm):
            alarms.during(lambda: door.serve(_capture_much), 0.003)
    say(alarms.fired - alarms.seen, "swallowed")
    _go_on(door)


# ---------------------------------------------------------------------- event loops


@situation("loops", few=True, needs=("trio", "anyio"))
def trio_inside(door: Door) -> None:
    """trio and anyio have the process for themselves while they run, their signals included."""
    import anyio
    import trio

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGUSR1, signal.SIGTERM) as signals:
            for number in (signal.SIGUSR1, signal.SIGTERM):
                send(number)
                say("received", int(await anext(signals)))
        await trio.lowlevel.checkpoint()

    def run() -> str:
        event()
        trio.run(main)
        anyio.run(anyio.sleep, 0, backend="trio")
        return "result"

    say(door.serve(run))
    say(run())
    say(door.serve(run))
    flush()  # trio has left the default action behind
    send(signal.SIGTERM)
    linger()


@situation("loops", twice=True)
def asyncio_inside(door: Door) -> None:
    """A loop's own signal handlers work while it runs, and when it is over the process can be ended."""
    import asyncio

    async def main() -> str:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[int]()
        event()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, heard.put_nowait, number)
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            send(number)
            say("heard", int(await asyncio.wait_for(heard.get(), LONG)))
        for number in (signal.SIGUSR1, signal.SIGTERM):
            say("removed", loop.remove_signal_handler(number))
        return "result"

    door.here()
    say(door.serve_async(main))
    say(door.serve())
    say(door.serve_async(main))
    flush()  # asyncio has left the default action behind
    send(signal.SIGTERM)
    linger()


@situation("loops", twice=True, few=True, fits=is_sync)
def asyncio_outside(door: Door) -> None:
    """A loop around invocations hears its signals while they are served, and afterwards."""
    import asyncio

    async def main() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[int]()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, heard.put_nowait, number)
        for number in (signal.SIGUSR1, signal.SIGTERM) * 2:
            door.serve(steps(event, sends(number)))
            say("heard in", int(await asyncio.wait_for(heard.get(), LONG)))
            send(number)
            say("heard between", int(await asyncio.wait_for(heard.get(), LONG)))

    door.here()
    asyncio.run(main())
    flush()
    send(signal.SIGTERM)
    linger()


@situation("loops", few=True, needs=("gevent",))
def gevent_inside(door: Door) -> None:
    """gevent's hub, its greenlets and its signal handlers."""
    import importlib

    gevent: Any = importlib.import_module("gevent")  # has no types
    heard: list[int] = []

    def run() -> str:
        handler = gevent.signal_handler(signal.SIGTERM, heard.append, 1)
        for greenlet in [gevent.spawn(event) for _ in range(3)]:
            greenlet.join()
        send(signal.SIGTERM)
        for _ in range(1000):
            if heard:
                break
            gevent.sleep(0.001)
        handler.cancel()
        return "result"

    say(door.serve(run))
    say("heard", heard)
    say(door.serve())


# ---------------------------------------------------------------------- copies of the package


@situation("copies", few=True)
def reloaded(door: Door) -> None:
    """A development server that reloads modules, ours among them."""
    import importlib

    door.serve()
    for _ in range(2):
        for name in sorted(_ours()):
            importlib.reload(sys.modules[name])
        door.decorate()
        say(door.serve())
        event()
    send(signal.SIGTERM)
    linger()


@situation("copies", few=True)
def imported_again(door: Door) -> None:
    """A development server that forgets modules and imports them again."""
    door.serve()
    for _ in range(2):
        _forget()
        door.decorate()
        say(door.serve())
        event()
    send(signal.SIGTERM)
    linger()


@situation("copies")
def two_copies(door: Door) -> None:
    """A vendored one and that of a layer, both in use: SIGTERM ends the process, and what each has is sent."""
    from pathlib import Path

    door.serve()
    event()
    if door.traced:
        package = Path(sys.modules["zespan_serverless"].__file__ or "").parent
        vendored = Path(FOLDER, "vendored", package.name)
        vendored.parent.mkdir()
        vendored.symlink_to(package)
        _forget()
        sys.path.insert(0, str(vendored.parent))
    second = door.another()
    say(second.serve())
    event()
    say(door.serve())
    send(signal.SIGTERM)
    linger()


@situation("copies", few=True)
def two_copies_and_a_handler(door: Door) -> None:
    """A handler above both is called once for each signal, and decides."""
    door.serve()
    _forget()
    second = door.another()
    second.serve()
    signal.signal(signal.SIGTERM, lambda number, frame: say("handler"))
    door.serve()
    send(signal.SIGTERM)
    second.serve()
    send(signal.SIGTERM)
    time.sleep(0.05)
    say("lives")
    sys.exit(6)


def _ours() -> list[str]:
    bare = not hasattr(sys.modules.get("zespan_serverless"), "__path__")
    return [] if bare else [name for name in sys.modules if name.split(".")[0] == "zespan_serverless"]


def _forget() -> None:
    for name in _ours():
        del sys.modules[name]


# ---------------------------------------------------------------------- ends of the process


def _exits(code: Any) -> Play:
    def play(door: Door) -> None:
        door.serve()
        door.serve(steps(event, partial(sys.exit, code)))

    return play


for _name, _code in {"0": 0, "3": 3, "256": 256, "text": "the end", "nothing": None}.items():
    situation("ends", f"exit with {_name}", few=_name != "3")(_exits(_code))


@situation("ends", twice=True)
def exit_between(door: Door) -> None:
    """What is captured after the last invocation is sent, or said to be lost."""
    door.here()
    door.serve()
    event()
    sys.exit(9)


@situation("ends")
def exception(door: Door) -> None:
    """An uncaught one ends the process with its own traceback."""
    door.serve()
    door.serve(fails)


@situation("ends", few=True)
def exit_at_once(door: Door) -> None:
    """`os._exit`, after a flush by hand."""
    door.serve()
    event()
    flush()
    os._exit(7)


@situation("ends", twice=True)
def sigterm_between(door: Door) -> None:
    """The process is killed by SIGTERM, as its parent sees it."""
    door.here()
    door.serve()
    event()
    send(signal.SIGTERM)
    linger()


@situation("ends")
def sigterm_in_an_invocation(door: Door) -> None:
    """In the midst of one, too."""
    door.serve()
    door.serve(steps(event, sends(signal.SIGTERM), linger))


@situation("ends", few=True)
def sigterm_while_blocked_in_c(door: Door) -> None:
    """While the main thread is in C code that looks at no signals."""
    import hashlib

    door.serve()
    event()
    threading.Timer(0.03, send, (signal.SIGTERM,)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)
    say("lived on")


@situation("ends")
def sigint_between(door: Door) -> None:
    """Ctrl-C ends the process with a KeyboardInterrupt."""
    door.serve()
    event()
    send(signal.SIGINT)
    linger()


@situation("ends", few=True, fits=is_sync)
def sigint_in_an_invocation(door: Door) -> None:
    """Which the function may catch. Not with asyncio around, which cancels it instead."""

    def catches() -> str:
        event()
        try:
            send(signal.SIGINT)
            linger()
        except KeyboardInterrupt:
            say("caught")
        return "result"

    say(door.serve(catches))
    say(door.serve())


@situation("ends", few=True)
def default_action_by_hand(door: Door) -> None:
    """SIGTERM by `signal.raise_signal` with the default action set again, as shells do at their end."""
    door.serve()
    flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    linger()


@situation("ends", twice=True, few=True)
def faulthandler_that_hands_on(door: Door) -> None:
    """A traceback on SIGTERM, and then the default action."""
    import faulthandler

    door.here()
    faulthandler.register(signal.SIGTERM, all_threads=False, chain=True)
    door.serve()
    flush()  # only faulthandler handles the next one
    send(signal.SIGTERM)
    linger()


@situation("ends", few=True, twice=True)
def faulthandler_that_stays(door: Door) -> None:
    """A traceback on SIGTERM, and no more."""
    import faulthandler

    door.here()
    faulthandler.register(signal.SIGTERM, all_threads=False)
    for _ in range(2):
        door.serve(steps(event, sends(signal.SIGTERM)))
        time.sleep(0.03)
    say("lives")


# ---------------------------------------------------------------------- children


@situation("children")
def forked(door: Door) -> None:
    """A child of `os.fork` serves, exits with its code, and is killed by SIGTERM, whatever the parent is doing."""
    door.serve()
    event()

    def child() -> None:
        say(door.serve())
        event()
        flush()

    _say_how_it_ends(steps(child, partial(os._exit, 3)))
    _say_how_it_ends(steps(child, sends(signal.SIGTERM), linger))
    door.serve(steps(event, partial(_say_how_it_ends, partial(os._exit, 4))))
    door.serve(steps(event, partial(_say_how_it_ends, steps(sends(signal.SIGTERM), linger))))
    send(signal.SIGTERM)
    linger()


@situation("children", twice=True, few=True)
def forked_with_a_handler(door: Door) -> None:
    """A child has the handlers and the mask that its parent has set."""
    door.here()

    def handler(number: int, frame: object) -> None:
        say("handler")
        os._exit(5)

    signal.signal(signal.SIGTERM, handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    door.serve()
    _say_how_it_ends(steps(partial(say, _blocked()), sends(signal.SIGTERM), linger))
    _say_how_it_ends(steps(lambda: say(door.serve()), flush, sends(signal.SIGTERM), linger))
    door.serve()


def _blocked() -> list[int]:
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def _say_how_it_ends(does: Callable[[], object]) -> None:
    """Fork a child that does this and does not return."""
    import warnings

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks in processes with threads
        pid = os.fork()
    if not pid:
        try:
            does()
        finally:
            os._exit(99)
    say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _multiprocessing(method: Any) -> Play:
    def play(door: Door) -> None:
        import multiprocessing
        import warnings

        door.serve()
        context: Any = multiprocessing.get_context(method)
        for ends in ("returns", "exits", "raises", "is terminated") if method == "fork" else ("exits", "is terminated"):
            ready, readies = context.Pipe(duplex=False)
            child = context.Process(target=_child, args=(ends, sys.argv, readies))
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                child.start()
            readies.close()
            if ends == "is terminated":
                ready.recv()
                child.terminate()
            child.join()
            say(ends, child.exitcode)
        door.serve()

    return play


def _child(ends: str, argv: list[str], readies: Any) -> None:
    from tests.conformance import bare, rooms

    if "--bare" in argv:
        bare.install()
    child = Door(rooms.ROOMS[argv[1]], traced="--bare" not in argv)
    say(child.serve())
    event()
    if ends == "exits":
        sys.exit(3)
    if ends == "raises":
        raise LookupError
    if ends == "is terminated":
        readies.send("ready")
        linger()


for _method in ("fork", "spawn", "forkserver"):
    situation("children", f"multiprocessing by {_method}", few=True)(_multiprocessing(_method))

_TELLS = """
import os, signal
blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE)]
print("mask", blocked, "handlers", handlers, "descriptors", len(os.listdir("/proc/self/fd")), flush=True)
"""


@situation("children", few=True)
def other_programs(door: Door) -> None:
    """A started program inherits nothing from this package: no mask, no handler, no descriptor."""
    import subprocess

    command = [sys.executable, "-S", "-E", "-c", _TELLS]
    for _ in range(2):
        door.serve(steps(event, partial(subprocess.run, command, check=True, close_fds=False)))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    subprocess.run(command, check=True, close_fds=False)
    event()
    flush()
    os.execv(sys.executable, command)


# ---------------------------------------------------------------------- the user's threads


@situation("threads")
def threads_of_the_users(door: Door) -> None:
    """They may serve, capture and outlive the main one; no thread of the package has to be waited for."""
    from concurrent.futures import ThreadPoolExecutor

    def in_threads() -> str:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(20):
                pool.submit(event)
        return "result"

    door.serve()
    say(door.serve(in_threads))
    waits = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    say("to be waited for:", waits)

    def outlive() -> None:
        threading.main_thread().join()
        event()
        say("the last thread ends")

    threading.Thread(target=outlive).start()
    sys.exit(8)


@situation("threads", few=True, fits=lambda room: not room.keeps_loop)
def served_in_threads(door: Door) -> None:
    """Invocations in other threads than the main one, the first included; SIGTERM ends the process all the same."""
    for _ in range(3):
        thread = threading.Thread(target=lambda: say(door.serve()))
        thread.start()
        thread.join()
    event()
    flush()
    send(signal.SIGTERM)
    linger()


@situation("threads", few=True)
def forks_while_all_are_busy(door: Door) -> None:
    """Children that are forked while threads capture, flush and send find no lock held."""
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            event()
            flush()
            time.sleep(0.001)

    door.serve()
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        signal.alarm(0)
        _say_how_it_ends(steps(partial(signal.alarm, 5), event, flush, partial(os._exit, 0)))
    over.set()
    for thread in threads:
        thread.join(LONG)
    say(door.serve())
