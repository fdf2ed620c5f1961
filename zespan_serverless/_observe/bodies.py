"""Responses whose bodies are made while they are sent, when the application has long returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded
from .active import SETTLED
from .web import content_length, read_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from .active import ActiveInvocation


class Exchange:
    """The `Scope` of one request. The invocation is closed once: by the end of the response's body, or by an error.

    A host says in `follow` what of a function's result is a body that is still to be made, and in `failure` which
    exceptions are responses.
    """

    is_cut = False
    """Whether the client has left before the end of the response."""

    def __init__(self, active: ActiveInvocation, method: str = "") -> None:
        self.active, self._method = active, method
        self.status: int | None = None
        self.error: Exception | None = None  # that the application has turned into a response
        self.is_streamed = False  # whether there is a body whose end is that of the invocation
        self.is_over = False
        self._bytes_left = -1  # of the body, if that matters and is known
        self._captured = 0  # events so far, when it was over

    # What a `Scope` does

    def begin(self) -> None:
        self.active.begin()

    def leave_context(self) -> None:
        self.active.leave_context()

    def returned(self, result: Any) -> Any:
        self.leave_context()
        result = self.follow(result)
        if not self.is_streamed:
            self.end(None, is_cut=self.is_cut)
        return result

    def raised(self, error: BaseException) -> None:
        self.leave_context()
        self.end(self.failure(error), is_cut=self.is_cut)

    def closed(self) -> None:  # by whoever drops a generator, in any thread: nothing waits
        self.leave_context()
        self.break_off(None, is_cut=True)

    async def returned_async(self, result: Any) -> Any:
        self.leave_context()
        result = self.follow(result)
        if not self.is_streamed:
            await self.end_async(None, is_cut=self.is_cut)
        return result

    async def raised_async(self, error: BaseException) -> None:
        self.leave_context()
        if isinstance(error, Exception):
            await self.end_async(self.failure(error), is_cut=self.is_cut)
        else:  # cancelled, or the end of the process: there is no waiting any more
            self.break_off(error, is_cut=self.is_cut)

    async def closed_async(self) -> None:
        self.leave_context()
        await self.end_async(None, is_cut=True)

    def leave(self) -> None:
        self.leave_context()
        if not (self.active.state == SETTLED or (self.is_streamed and not self.is_over)):
            self.is_over = True
            self.active.abandon()

    # What a host says

    def follow(self, result: Any) -> Any:
        """Note the status of a result, and put a `Body` in place of one that is still to be made. Never raises."""
        return result

    def failure(self, error: BaseException) -> BaseException | None:
        """The error that the invocation has failed with; None if this exception is a response. Never raises."""
        return error

    # The response

    def announced(self, length: str | bytes | None) -> None:
        """Note what the response's Content-Length header says."""
        if self.active.must_wait():  # then nothing may run after the last byte
            self._bytes_left = content_length(length) or -1

    def is_last(self, piece: object) -> bool:
        """Whether a piece that is about to go out is the end of what the client has been told to wait for."""
        if self._bytes_left > 0 and isinstance(piece, (bytes, bytearray)):
            self._bytes_left -= len(piece)
            return self._bytes_left <= 0
        return False

    def end(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """Close the invocation and flush. `is_cut`: before the body was over."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, is_cut)
                self.active.settle(error)
                self._captured = self.active.container.delivery.captured

    async def end_async(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """`end` that leaves the event loop free."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, is_cut)
                await self.active.settle_async(error)
                self._captured = self.active.container.delivery.captured

    def break_off(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """`end` that cannot wait, whatever the platform: the task is being cancelled, or this may be any thread, and
        any moment."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, is_cut)
            self.active.settle_without_waiting()

    def forgotten(self) -> None:
        """End the invocation of a body that nobody has read to its end, or closed."""
        if self.is_streamed and not self.is_over:
            self.break_off(None, is_cut=True)
        elif self.is_streamed and self.active.state != SETTLED:
            self.active.abandon()

    def flush_rest(self) -> None:
        """Have a thread flush what the application has captured after the end of the response."""
        with Guarded("the flush"):
            if self.active.container.delivery.captured != self._captured:
                self.active.flush_in_background()

    def _close(self, error: BaseException | None, is_cut: bool) -> None:
        self.is_over = True
        # Nobody reads a body that is not to be sent to its end.
        is_cut = is_cut and self._method != "HEAD" and self.status not in (204, 304)
        self.active.close(error or self.error, read_status(self.status, is_cut))


class Body:
    """A streamed body: what its pieces are made of happens in the request's trace, and its end is the request's."""

    def __init__(self, body: Iterable[Any], exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.active.span  # a step may go on from one piece to the next
        self._pieces: Iterator[Any] | None = None
        exchange.is_streamed = True  # last: from here on this object ends the invocation

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
        self._exchange.end(None, is_cut=True)
        self._exchange.flush_rest()

    def __del__(self) -> None:
        if "_exchange" in vars(self):  # else an exception has struck while it was made
            self._exchange.forgotten()


class AsyncBody:
    """The same for a body that is iterated by `async for`, as Starlette has it."""

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.active.span
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
            await self._exchange.end_async(None)
        return piece

    async def _next(self, here: _trace.Entered) -> Any:
        try:
            here.enter()
            if self._pieces is None:
                self._pieces = aiter(self.body)
            return await anext(self._pieces)
        except StopAsyncIteration:
            await self._exchange.end_async(None)
            raise
        except Exception as error:
            await self._exchange.end_async(error)
            raise
        except BaseException:  # the client has left
            self._exchange.break_off(None, is_cut=True)
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
