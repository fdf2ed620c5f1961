"""The sockets of httpx and httpx2: no wait is longer than the current call may take.

The timeouts of httpx limit one wait each, so a peer that sends a byte now and then would be waited for without end.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import limited, replace

if TYPE_CHECKING:
    from types import ModuleType

# Maps a method to the position of its argument `timeout`, after the object, and the error that it raises.
_STREAM = {"read": (1, "ReadTimeout"), "write": (1, "WriteTimeout"), "start_tls": (2, "ConnectTimeout")}
_BACKEND = {"connect_tcp": (2, "ConnectTimeout"), "connect_unix_socket": (1, "ConnectTimeout")}
_WAITING = {"wait": (0, "PoolTimeout")}
_CLASSES: dict[str, dict[str, dict[str, tuple[int, str]]]] = {
    "_backends.sync": {"SyncStream": _STREAM, "TLSinTLSStream": _STREAM, "SyncBackend": _BACKEND},
    "_backends.anyio": {"AnyIOStream": _STREAM, "AnyIOBackend": _BACKEND},
    "_backends.trio": {"TrioStream": _STREAM, "TrioBackend": _BACKEND},
    "_synchronization": {"Event": _WAITING, "AsyncEvent": _WAITING},
}
_done: set[str] = set()  # modules


def patch(httpcore: ModuleType | None) -> None:
    """Patch the loaded parts of httpcore or httpcore2. Idempotent."""
    for part, classes in _CLASSES.items() if httpcore is not None else ():
        name = f"{httpcore.__name__}.{part}"  # type: ignore[union-attr]
        if name in sys.modules and name not in _done:
            for owner, methods in classes.items():
                for method, (place, error) in methods.items():
                    _limit(httpcore, vars(sys.modules[name]).get(owner), method, place, error)
            _done.add(name)


def _limit(httpcore: Any, owner: Any, method: str, place: int, error: str) -> None:
    """Limit the argument `timeout` of a method to the time that the call has left; without any, raise an error."""

    def make(theirs: Any) -> Any:
        def limit(stream: Any, *args: Any, **kwargs: Any) -> Any:
            attempts = limited()
            if attempts is not None:
                left, is_placed = attempts.left, len(args) > place
                if left <= 0:
                    raise getattr(httpcore, error)("timed out")
                own = args[place] if is_placed else kwargs.get("timeout")
                capped = left if own is None else min(own, left)
                if is_placed:
                    args = (*args[:place], capped, *args[place + 1 :])
                else:
                    kwargs["timeout"] = capped
            return theirs(stream, *args, **kwargs)  # or a coroutine, whose time begins when it is awaited

        return limit

    if owner is not None:
        replace(owner, method, make)
