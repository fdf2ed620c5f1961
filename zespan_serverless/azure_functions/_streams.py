"""The end of an invocation: at once, or, of a streamed response, with the last piece of its body.

With `azurefunctions-extensions-http-fastapi` a function returns a StreamingResponse, and the worker's own web server
reads its body afterwards: https://learn.microsoft.com/azure/azure-functions/functions-reference-python#http-streams
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _trace
from .._lifecycle import Guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .._lifecycle import Call


async def over(call: Call, error: Exception | None, result: object = None) -> None:
    """Close the invocation, and wait for the flush if that is wanted, without blocking the event loop. Never raises."""
    with Guarded("the end of an invocation"):
        report = call.close(error, result)
        if not call.hands_over(report, error):
            report()
            await call.flushed()


def cut(call: Call, error: BaseException | None, result: object = None) -> None:
    """Close an invocation that has been given up: nobody can wait for anything. Never raises."""
    with Guarded("the end of an invocation"):
        call.close(error, result)()
        call.container.delivery.flush_soon(call.container.settings.flush_timeout)


def follow(result: Any, call: Call) -> bool:
    """Have the invocation end with the body of `result`, if that is a stream. Never raises."""
    stream: Stream | None = None
    with Guarded("a streamed response"):
        body = getattr(result, "body_iterator", None)
        if hasattr(type(body), "__aiter__"):
            stream = Stream(body, result, call)
            result.body_iterator = stream
            stream.followed = True
            call.reset()
    return stream is not None and stream.followed


class Stream:
    """A body whose pieces are made in the invocation's trace, and whose end is the invocation's."""

    def __init__(self, body: Any, response: Any, call: Call) -> None:
        self.followed = False
        self._body, self._call = body, call
        self._status = _Status(response)
        self._pieces: AsyncIterator[Any] | None = None
        self._here: _trace.Span | None = call.span  # where the body was when it gave its last piece
        self._over = False

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        token = _trace.enter(self._here or self._call.span)
        try:
            if self._pieces is None:
                self._pieces = aiter(self._body)
            return await anext(self._pieces)
        except StopAsyncIteration:
            await self._end(None)
            raise
        except Exception as error:
            await self._end(error)
            raise
        except BaseException as error:  # the client has left
            self._cut(error)
            raise
        finally:
            self._here = _trace.current()
            _trace.leave(token)

    async def aclose(self) -> None:
        close = getattr(self._pieces or self._body, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            self._cut(None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __del__(self) -> None:
        if self.followed:  # and has never been read to its end
            self._cut(None)

    async def _end(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            await over(self._call, error, self._status)

    def _cut(self, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            cut(self._call, error, self._status)


class _Status:
    """Of a response, without the response: that would hold its body, which holds this."""

    def __init__(self, response: Any) -> None:
        self.status_code = getattr(response, "status_code", None)
