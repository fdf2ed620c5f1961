"""Facts that a platform provides about itself, and about the web requests that it forwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from .._base import Value
from .._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._trace.context import Caller

    Header = Callable[[str], str | None]
    """Gives a header's value by its lower-case name; one that stands for a list may stand in several lines."""

Hook = Literal["started", "snapshot", "restored", "resumed"]
"""What a platform announces: nothing to do, or that it is about to stop the process, or that it has restored it."""

TEXT_MAX = 1024  # maximum characters of an attribute


class RequestFacts(Value):
    """Facts that a platform adds to one request.

    `parent` is the caller, `remaining` returns the seconds left. `attributes` is called after the response. `name` is
    the function's, if it is not the platform's.
    """

    __slots__ = ("attributes", "id", "name", "parent", "remaining")

    def __init__(
        self,
        id: str | None = None,
        parent: Caller | None = None,
        remaining: Callable[[], float] | None = None,
        attributes: Callable[[], Mapping[str, object]] = dict,
        name: str = "",
    ) -> None:
        self.id: str | None = id
        self.parent: Caller | None = parent
        self.remaining: Callable[[], float] | None = remaining
        self.attributes: Callable[[], Mapping[str, object]] = attributes
        self.name: str = name


class Platform(Value):
    """Where a web application runs, according to its environment. This class is a process that keeps its CPU.

    `keeps_cpu`: whether threads run between requests. `timeout`: seconds that a request may take. `kills`: whether the
    process ends when a request times out.
    """

    __slots__ = ("attributes", "keeps_cpu", "kills", "name", "timeout")

    def __init__(
        self,
        name: str = "",
        attributes: Mapping[str, object] | None = None,
        keeps_cpu: bool = True,
        timeout: float | None = None,
        kills: bool = True,
    ) -> None:
        self.name: str = name
        self.attributes: Mapping[str, object] = {} if attributes is None else attributes
        self.keeps_cpu: bool = keeps_cpu
        self.timeout: float | None = timeout
        self.kills: bool = kills

    def facts(self, header: Header) -> RequestFacts:
        """Return the facts in the headers of a request that begins now. Accepts any headers."""
        return RequestFacts(None, caller_of(header), countdown(self.timeout))

    def hook(self, path: str, header: Header) -> Hook | None:
        """Return what a request to this path announces; None if it is no hook of the platform."""
        return None

    def is_check(self, path: str, header: Header) -> bool:
        """Whether the platform checks the process by this request, which only its headers tell. See also `probes`."""
        return False

    has_hooks = False
    """Whether `hook` is worth a call."""
    may_suspend = False
    """Whether it may suspend a process that keeps its CPU, right after the last byte of a response."""
    names_audience = False
    """Whether `audience` is worth a call."""

    def audience(self, header: Header) -> tuple[str | None, str | None]:
        """Return the user and the session in the headers of a request."""
        return None, None


def countdown(seconds: float | None) -> Callable[[], float] | None:
    """Return a function that returns how many of these seconds are left from now on; None if the number is unknown."""
    if seconds is None:
        return None
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def until(end: float | None) -> Callable[[], float] | None:
    """Return a function that returns the seconds until a time (seconds since the epoch); None if there is none."""
    return None if end is None else lambda: end - time.time()


def positive(value: Any) -> float | None:
    """Return a finite number above 0; None for anything else."""
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None
