"""The HTTP requests of one call: how many they are, and when the last one has to end.

    _httpx     requests by httpx and httpx2      _bounded, _httpcore  those that have to be over at some time
    _botocore  requests by botocore              _urllib3             those that have to be over at some time
    _aiohttp   requests by aiohttp               _retries             pauses of the SDKs between two tries

An SDK retries inside one call, so requests are counted in the HTTP client beneath it. The time is limited there as well
(`cap_timeouts`): only the client's waits take long, and the SDK converts the client's error to its own. The user's
client and its timeouts, which other calls share, stay unchanged. Without a current model call in their context, all
wrappers only pass calls on, and the code that limits is imported with the first limited call.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from functools import update_wrapper
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..._base.hook import bound

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import ModuleType

CLIENTS = {
    "httpx": "_httpx",
    "httpx2": "_httpx",
    "aiohttp.client": "_aiohttp",
    "botocore.endpoint": "_botocore",
    "aiobotocore.endpoint": "_botocore",
}
"""Maps an HTTP client's module to the module here that patches it."""


def attend(module: ModuleType) -> None:
    """Patch this module of an HTTP client, to count its requests. Idempotent."""
    import_module(f"{__name__}.{CLIENTS[module.__name__]}").patch(module)


class Attempts:
    """The requests of one call."""

    __slots__ = ("_sent", "until")

    def __init__(self, until: float | None = None) -> None:
        """`until`: when the call has to end, by `time.monotonic()`; None if there is no limit."""
        self.until = until
        self._sent: dict[object, int] = {}  # by URL, because a request for a token is not a retry

    def sending(self, url: object) -> None:
        """Count a request."""
        self._sent[url] = self._sent.get(url, 0) + 1

    @property
    def resends(self) -> int:
        """Return how often a request has been sent again."""
        return max(self._sent.values(), default=1) - 1

    @property
    def left(self) -> float:
        """Return the seconds that the call may still take, 0 or less when it has to end."""
        return float("inf") if self.until is None else self.until - time.monotonic()

    def give_up(self) -> None:
        """Let no further request be sent."""
        self.until = float("-inf")


current: ContextVar[Attempts | None] = ContextVar("zespan_serverless_attempts", default=None)
"""The requests of the current call."""


class Within:
    """A `with` block whose requests and waits belong to a call."""

    __slots__ = ("_attempts", "_token")

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._token: Token[Attempts | None] | None = None

    def __enter__(self) -> None:
        self._token = current.set(self._attempts)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            try:
                current.reset(self._token)
            except ValueError:  # an asynchronous stream that is finalized in another context
                return


def limited() -> Attempts | None:
    """Return the requests of the current call, if its time is limited."""
    attempts = current.get()
    return attempts if attempts is not None and attempts.until is not None else None


def replace(owner: Any, name: str, make: Callable[[Any], Any], theirs: Any = None) -> None:
    """Replace a function of a class or module by what `make` returns for it, once.

    `theirs` is for a function that the class inherits.
    """
    theirs = vars(owner).get(name, theirs)
    if theirs is None or hasattr(theirs, "__zespan_original__"):
        return

    def called(*args: Any, **kwargs: Any) -> Any:  # installed by another tool
        here, rest = bound(theirs, args)
        return here(*rest, **kwargs)

    is_plain = isinstance(theirs, FunctionType) or not isinstance(owner, type)
    ours: Any = update_wrapper(make(theirs if is_plain else update_wrapper(called, theirs)), theirs)
    ours.__zespan_original__ = theirs
    setattr(owner, name, ours)
