"""Helpers of `test_never_harm`: every host, from the table of rooms, and a way to make any of the package's functions
fail."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import zespan_serverless
from tests.conformance.rooms import ROOMS, VARIANTS, Start, Work
from zespan_serverless import testing

Host = Start
PACKAGE = str(Path(zespan_serverless.__file__).parent)
CONTEXT = testing.LambdaContext(timeout=1e6)
HOSTS: dict[str, Host] = {name: room.start for name, room in (ROOMS | VARIANTS).items()}


# ---------------------------------------------------------------------- outcomes


class Came(NamedTuple):
    """The outcome of one request; `calls` counts how often the user's function was called."""

    result: Any
    error: BaseException | None
    calls: int
    seconds: float


def came(host: Host, work: Work, *, struck: Callable[[], AbstractContextManager[None]] = nullcontext) -> Came:
    """Serve one request. The context `struck` is entered for the request, not while the function is decorated."""
    calls = []

    def once() -> Any:
        calls.append(1)
        return work()

    serve = host(once)
    began, result, error = time.monotonic(), None, None
    try:
        with struck():
            result = serve()
    except BaseException as raised:
        error = raised
    return Came(result, error, len(calls), time.monotonic() - began)


# ---------------------------------------------------------------------- failures of the package


class Ours(NamedTuple):
    """One function of the package: the file and line where it begins, and its qualified name."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}"


def ours(code: CodeType) -> Ours | None:
    if not code.co_filename.startswith(PACKAGE) or code.co_name == "<module>":
        return None
    if code.co_filename.endswith("_base/reports.py"):
        return None  # constructors of the user's reports, which cannot fail
    return Ours(code.co_filename.removeprefix(PACKAGE + "/"), code.co_firstlineno, code.co_qualname)


class Used(NamedTuple):
    """Return the package's functions that a request calls.

    `in_the_way`: those on the stack below the user's function, which cannot be called without them. `here`: all others
    in the thread that serves the request. `elsewhere`: those that only other threads call.
    """

    in_the_way: set[Ours]
    here: set[Ours]
    elsewhere: set[Ours]


def used(host: Host, work: Work) -> Used:
    here: set[Ours] = set()
    elsewhere: set[Ours] = set()
    in_the_way: set[Ours] = set()
    me = threading.get_ident()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        function = ours(frame.f_code) if event == "call" else None
        if function is not None:
            (here if threading.get_ident() == me else elsewhere).add(function)

    def watched() -> Any:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            function = ours(frame.f_code)
            if function is not None:
                in_the_way.add(function)
            frame = frame.f_back
        return work()

    @contextmanager
    def profiled() -> Iterator[None]:
        threading.setprofile(profile)
        sys.setprofile(profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    came(host, watched, struck=profiled)
    return Used(in_the_way, here - in_the_way, elsewhere - here - in_the_way)


@contextmanager
def struck(function: Ours, strike: Callable[[], object]) -> Iterator[None]:
    """Call `strike` whenever this function is called, in any thread. Its exception is then the function's."""

    def trace(frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code.co_firstlineno == function.line and ours(frame.f_code) == function:
            strike()

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)
