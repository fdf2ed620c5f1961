"""Responses whose bodies are made while they are sent, when the application has long returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded
from .web import Response, content_length

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from .call import Call


class Exchange:
    """One request's response. The invocation is closed once: by the end of the body, or by an error."""

    def __init__(self, call: Call, method: str = "") -> None:
        self.call, self._method = call, method
        self.status: int | None = None
        self.error: Exception | None = None  # that the application has answered
        self.is_streamed = False  # whether a body has been given out whose end is that of the invocation
        self.is_over = False
        self._left = -1  # bytes of the body that are to come, if that matters and is known
        self._captured = 0  # events so far, when it was over

    def announced(self, length: str | bytes | None) -> None:
        """What its Content-Length header says."""
        if self.call.is_held():  # then nothing may run after the last byte
            self._left = content_length(length) or -1

    def is_last(self, piece: object) -> bool:
        """Whether a piece that is about to go out is the end of what the client has been told to wait for."""
        if self._left > 0 and isinstance(piece, (bytes, bytearray)):
            self._left -= len(piece)
            return self._left <= 0
        return False

    def end(self, error: BaseException | None, *, cut: bool = False) -> None:
        """`cut`: before the body was over."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, cut=cut)
                self.call.settle(error)
                self._captured = self.call.container.delivery.captured

    async def finish(self, error: BaseException | None, result: object = None, *, cut: bool = False) -> None:
        """`end` that leaves the event loop free. `result`: what there is instead of a response."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, cut=cut, result=result)
                await self.call.settle_soon(error)
                self._captured = self.call.container.delivery.captured

    def break_off(self, error: BaseException | None, *, cut: bool = False) -> None:
        """`end` that cannot wait, whatever the platform: the task is being cancelled, or this may be any thread, and
        any moment."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, cut=cut)
            self.call.report()
            self.call.is_left = True
            self._flush_soon()

    def returned(self) -> None:
        """In the `finally` around the application: it has returned, or something has struck on the way."""
        self.call.reset()
        if not (self.call.is_left or (self.is_streamed and not self.is_over)):
            self.is_over = True
            self.call.abandon()

    def forgotten(self) -> None:
        """Nobody has read the body to its end, or closed it."""
        if self.is_streamed and not self.is_over:
            self.break_off(None, cut=True)
        elif self.is_streamed and not self.call.is_left:
            self.call.abandon()

    def closed(self) -> None:
        """What the application had to do after the response is done."""
        with Guarded("the flush"):
            if self.call.container.delivery.captured != self._captured:
                self._flush_soon()

    def _close(self, error: BaseException | None, *, cut: bool, result: object = None) -> None:
        self.is_over = True
        # Nobody reads a body that is not to be sent to its end.
        is_cut = cut and self._method != "HEAD" and self.status not in (204, 304)
        self.call.close(error or self.error, Response(self.status, is_cut) if result is None else result)

    def _flush_soon(self) -> None:
        self.call.container.delivery.flush_in_background(self.call.container.settings.flush_timeout)


class Body:
    """A streamed body: what its pieces are made of happens in the request's trace, and its end is the request's."""

    def __init__(self, body: Iterable[Any], exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.call.span  # a step may go on from one piece to the next
        self._pieces: Iterator[Any] | None = None
        exchange.is_streamed = True  # last: from here on this object sees to the end

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        here = _trace.Entered(self._here)
        try:
            piece = self._next(here)
        finally:
            here.leave()
        if self._exchange.is_last(piece):
            self._exchange.end(None)
        return piece

    def _next(self, here: _trace.Entered) -> Any:
        try:
            here.enter()
            if self._pieces is None:
                self._pieces = iter(self.body)
            return next(self._pieces)
        except StopIteration:
            self._exchange.end(None)
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise
        finally:
            self._here = _trace.current()
            here.leave()

    def close(self) -> None:
        here = _trace.Entered(self._here)
        try:
            try:
                here.enter()
                close = getattr(self.body, "close", None)
                if close is not None:
                    close()
            except BaseException as error:
                self._exchange.end(error)
                raise
            here.leave()
        finally:
            here.leave()
        self._exchange.end(None, cut=True)
        self._exchange.closed()

    def __del__(self) -> None:
        if "_exchange" in vars(self):  # else an exception has struck while it was made
            self._exchange.forgotten()


class AsyncBody:
    """The same for a body that is iterated by `async for`, as Starlette has it."""

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.call.span
        self._pieces: AsyncIterator[Any] | None = None
        exchange.is_streamed = True

    @classmethod
    def of(cls, response: Any, exchange: Exchange) -> None:
        """Take the place of a response's `body_iterator`."""
        made = cls(response.body_iterator, exchange)
        try:
            response.body_iterator = made
        except BaseException:  # which it does not let be replaced
            exchange.is_streamed = False
            raise

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> Any:
        here = _trace.Entered(self._here)
        try:
            piece = await self._next(here)
        finally:
            here.leave()
        if self._exchange.is_last(piece):
            await self._exchange.finish(None)
        return piece

    async def _next(self, here: _trace.Entered) -> Any:
        try:
            here.enter()
            if self._pieces is None:
                self._pieces = aiter(self.body)
            return await anext(self._pieces)
        except StopAsyncIteration:
            await self._exchange.finish(None)
            raise
        except Exception as error:
            await self._exchange.finish(error)
            raise
        except BaseException:  # the client has left
            self._exchange.break_off(None, cut=True)
            raise
        finally:
            self._here = _trace.current()
            here.leave()

    async def aclose(self) -> None:
        close = getattr(self.body, "aclose", None)
        here = _trace.Entered(self._here)
        try:
            here.enter()
            if close is not None:
                await close()
        finally:
            here.leave()
            self._exchange.forgotten()

    def __getattr__(self, name: str) -> Any:
        if name == "body":  # of one that is being copied: it has nothing yet
            raise AttributeError(name)
        return getattr(self.body, name)

    def __del__(self) -> None:
        if "_exchange" in vars(self):  # else an exception has struck while it was made
            self._exchange.forgotten()
