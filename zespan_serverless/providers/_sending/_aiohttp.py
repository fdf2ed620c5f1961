"""Requests by aiohttp, whose total timeout covers a request from its beginning to the last byte of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from . import current, replace

if TYPE_CHECKING:
    from types import ModuleType

_NO_ROUNDING = float("inf")  # aiohttp rounds longer timeouts up to a whole second


def patch(aiohttp: ModuleType) -> None:
    """Patch the session of `aiohttp.client`."""

    def make(theirs: Any) -> Any:
        async def request(session: Any, *args: Any, **kwargs: Any) -> Any:
            attempts = current.get()
            if attempts is not None:
                left = attempts.left
                if left <= 0:
                    raise aiohttp.ServerTimeoutError("Connection timeout: the invocation has no time left")
                with Guarded("a request"):
                    attempts.sending(str(args[1] if len(args) > 1 else kwargs["str_or_url"]))
                    if attempts.until is not None:
                        own = kwargs.get("timeout")
                        kwargs["timeout"] = _capped(aiohttp, session.timeout, own, left, given="timeout" in kwargs)
            return await theirs(session, *args, **kwargs)

        return request

    replace(aiohttp.ClientSession, "_request", make)


def _capped(aiohttp: ModuleType, usual: Any, own: Any, left: float, *, given: bool) -> Any:
    """Return a request's timeouts with a total of at most `left` seconds."""
    kind = aiohttp.ClientTimeout
    if given and (own is None or isinstance(own, (int, float))):
        own = kind(total=own)
    base = own if isinstance(own, kind) else usual
    return kind(
        total=min(base.total, left) if base.total else left,  # 0 and None: no limit
        connect=base.connect,
        sock_read=base.sock_read,
        sock_connect=base.sock_connect,
        ceil_threshold=_NO_ROUNDING,
    )
