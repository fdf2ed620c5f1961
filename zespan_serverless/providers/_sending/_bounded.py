"""Requests of httpx and httpx2 with a time limit."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from . import Within
from ._httpcore import patch as patch_sockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    from . import Attempts

_PHASES = ("connect", "read", "write", "pool")
_END = object()


def send(
    httpx: ModuleType, attempts: Attempts, theirs: Any, client: Any, request: Any, *args: Any, **kwargs: Any
) -> Any:
    """Send a request within its time, and have its body read within it."""
    _limit(httpx, client, request, attempts)
    response = theirs(client, request, *args, **kwargs)
    _bound(httpx, 0, response, attempts)
    return response


async def send_async(
    httpx: ModuleType, attempts: Attempts, theirs: Any, client: Any, request: Any, *args: Any, **kwargs: Any
) -> Any:
    """Send a request with an asynchronous client in the same way."""
    _limit(httpx, client, request, attempts)
    response = await theirs(client, request, *args, **kwargs)
    _bound(httpx, 1, response, attempts)
    return response


def _limit(httpx: ModuleType, client: Any, request: Any, attempts: Attempts) -> None:
    """Limit each phase of a request. Raises the client's timeout error if there is no time for it."""
    left = attempts.left
    if left <= 0:
        raise httpx.ConnectTimeout("the invocation has no time left for this request", request=request)
    with Guarded("a request"):
        attempts.sending(request.url.raw_path)
        patch_sockets(sys.modules.get(httpx.__name__.replace("x", "core")))
        own = request.extensions.get("timeout") or client.timeout.as_dict()
        capped = {name: left if own.get(name) is None else min(own[name], left) for name in _PHASES}
        request.extensions = {**request.extensions, "timeout": capped}


def _bound(httpx: ModuleType, kind: int, response: Any, attempts: Attempts) -> None:
    with Guarded("the body of an answer"):  # of another type than httpx's, if `send` has been replaced
        response.stream = _streams(httpx)[kind](response.stream, attempts)


@functools.cache
def _streams(httpx: ModuleType) -> tuple[type, type]:
    """Return the classes of a body that is read within the time of its call, wherever it is read."""

    class Bounded(_Body, httpx.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[Any]:
            pieces = iter(self._stream)
            while True:
                with Within(self._attempts):
                    piece = next(pieces, _END)
                if piece is _END:
                    return
                yield piece

        def close(self) -> None:
            self._stream.close()

    class AsyncBounded(_Body, httpx.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[Any]:
            pieces = aiter(self._stream)
            try:
                while True:
                    with Within(self._attempts):
                        piece = await anext(pieces, _END)
                    if piece is _END:
                        return
                    yield piece
            finally:
                if isinstance(pieces, AsyncGenerator):  # which no other code can close
                    await pieces.aclose()

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Bounded, AsyncBounded


class _Body:
    """A body that replaces the client's, with its other attributes: httpx2 reads `elapsed` from it."""

    def __init__(self, stream: Any, attempts: Attempts) -> None:
        self._stream, self._attempts = stream, attempts

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)
