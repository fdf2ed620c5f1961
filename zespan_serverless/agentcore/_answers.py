"""What a function answers: a result, a response of Starlette's, or a generator that is streamed."""

from __future__ import annotations

from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from .._base.guard import Guarded
from .._observe.bodies import AsyncBody, Body, Exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .._observe.active import ActiveInvocation


class Answer(Exchange):
    """What a function answers. A generator that it returns is streamed, as one that it is."""

    def __init__(self, active: ActiveInvocation, streams: bool, is_socket: bool) -> None:
        super().__init__(active)
        self._is_socket = is_socket
        self.status = 200 if streams else None

    def follow(self, result: Any) -> Any:
        with Guarded("a response"):
            if not self._is_socket:
                self.status = getattr(result, "status_code", 200)
            if isinstance(result, GeneratorType):
                return _pieces(Body(result, self))
            if isinstance(result, AsyncGeneratorType):
                return _pieces_async(AsyncBody(result, self))
            body = getattr(result, "body_iterator", None)
            if hasattr(type(body), "__aiter__"):
                AsyncBody.of(result, self)
        return result

    def failure(self, error: BaseException) -> BaseException | None:
        """Starlette's HTTPException is a response like any other, WebSocketDisconnect the end of most connections."""
        with Guarded("a response"):
            if self._is_socket and any(kind.__name__ == "WebSocketDisconnect" for kind in type(error).__mro__):
                return None
            if any(kind.__module__ == "starlette.exceptions" for kind in type(error).__mro__):
                self.status = int(getattr(error, "status_code"))  # noqa: B009
                return None
        return error

    def break_off(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """Close without a background flush: the client has left, and the session would be idle before its end."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, is_cut)
            self.active.abandon()


def _pieces(body: Body) -> Iterator[Any]:
    yield from body


async def _pieces_async(body: AsyncBody) -> AsyncIterator[Any]:
    try:
        async for piece in body:
            yield piece
    finally:
        await body.aclose()
