"""Responses whose bodies are produced while they are sent, after the application has returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded, contain
from .active import SETTLED
from .web import content_length, read_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from .active import ActiveInvocation


class Exchange:
    """The `Scope` of one request. The invocation is closed once: by the end of the response's body, or by an error.

    A host's `follow` finds the streamed body in a function's result, and its `failure` decides which exceptions are
    responses.
    """

    is_cut = False
    """Whether the client disconnected before the end of the response."""

    def __init__(self, active: ActiveInvocation, method: str = "") -> None:
        self.active, self._method = active, method
        self.leave_context = active.leave_context  # each request calls it: a method of this class would add a call
        self.status: int | None = None
        self.error: Exception | None = None  # that the application has turned into a response
        self.is_streamed = False  # whether the end of a body is the end of the invocation
        self.is_over = False
        self._bytes_left = -1  # of the body, if it matters and is known
        self._captured = 0  # number of events when the response was complete

    # Implementation of `Scope`

    def begin(self) -> None:
        self.active.begin()

    def returned(self, result: Any) -> Any:
        self.leave_context()
        result = self.follow(result)
        if not (self.is_streamed or self.is_over):
            self.end(None, is_cut=self.is_cut)
        return result

    def raised(self, error: BaseException) -> None:
        self.leave_context()
        self.end(self.failure(error), is_cut=self.is_cut)

    def closed(self) -> None:  # a generator is closed in any thread, by its last reader, so nothing may wait
        self.leave_context()
        self.break_off(None, is_cut=True)

    async def returned_async(self, result: Any) -> Any:
        self.leave_context()
        result = self.follow(result)
        if not (self.is_streamed or self.is_over):
            await self.end_async(None, is_cut=self.is_cut)
        return result

    async def raised_async(self, error: BaseException) -> None:
        self.leave_context()
        if isinstance(error, Exception):
            await self.end_async(self.failure(error), is_cut=self.is_cut)
        else:  # cancelled, or the process ends: nothing may wait
            self.break_off(error, is_cut=self.is_cut)

    async def closed_async(self) -> None:
        self.leave_context()
        await self.end_async(None, is_cut=True)

    def leave(self) -> None:
        self.leave_context()
        if not (self.active.state == SETTLED or (self.is_streamed and not self.is_over)):
            self.is_over = True
            self.active.abandon()

    # Methods that hosts override

    def follow(self, result: Any) -> Any:
        """Record the status of a result, and replace a streamed body with a `Body`. Never raises."""
        return result

    def failure(self, error: BaseException) -> BaseException | None:
        """Return the error that the invocation failed with, or None if this exception is a response. Never raises."""
        return error

    # Response

    def announced(self, length: Callable[[], str | bytes | None]) -> bool:
        """Read the response's Content-Length header by `length`, if it matters. The status is known.

        Returns whether the client waits for nothing but the headers, which are about to be sent, so that they are held.
        """
        if self.active.host.may_suspend or self.active.must_wait():  # then nothing may run after the last byte
            self._bytes_left = 0 if self._has_no_body() else content_length(length())
        return self._bytes_left == 0

    def is_last(self, piece: object) -> bool:
        """Whether a piece that is about to be sent is the last one that the client waits for."""
        if self._bytes_left >= 0 and isinstance(piece, (bytes, bytearray)):
            self._bytes_left -= len(piece)
            return self._bytes_left <= 0
        return False

    def _has_no_body(self) -> bool:
        return self._method == "HEAD" or self.status in (204, 304)

    def end(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """Close the invocation and flush. `is_cut`: the body was incomplete."""
        try:
            if not self.is_over:
                self._close(error, is_cut)
                self.active.settle(error)
                self._captured = self.active.container.delivery.captured
        except Exception as failure:
            contain(failure, "the end of a response")

    async def end_async(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """Do the same as `end`, and leave the event loop free."""
        try:
            if not self.is_over:
                self._close(error, is_cut)
                await self.active.settle_async(error)
                self._captured = self.active.container.delivery.captured
        except Exception as failure:
            contain(failure, "the end of a response")

    def break_off(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        """Close the invocation and flush without waiting, because the task is being cancelled."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, is_cut)
            self.active.settle_without_waiting()

    def forgotten(self) -> None:
        """End the invocation of a body that was neither read to its end nor closed."""
        if self.is_streamed and not self.is_over:
            self.break_off(None, is_cut=True)
        elif self.is_streamed and self.active.state != SETTLED:
            self.active.abandon()

    def flush_rest(self) -> None:
        """Let a thread flush what the application captured after the end of the response."""
        try:
            if self.active.container.delivery.captured != self._captured:
                self.active.flush_in_background()
        except Exception as failure:
            contain(failure, "the flush")

    def _close(self, error: BaseException | None, is_cut: bool) -> None:
        self.is_over = True
        is_cut = is_cut and not self._has_no_body()  # a body that is not sent to its end has no reader
        self.active.close(self.error if error is None else error, read_status(self.status, is_cut))


class Body:
    """Streamed body whose pieces are produced in the request's trace, and whose end is the end of the request."""

    def __init__(self, body: Iterable[Any], exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.active.span  # a step may continue from one piece to the next
        self._pieces: Iterator[Any] | None = None
        exchange.is_streamed = True  # last, because from here on this object ends the invocation

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
        if "_exchange" in vars(self):  # otherwise an exception interrupted the constructor
            self._exchange.forgotten()


class AsyncBody:
    """The same for a body that is iterated by `async for`, as in Starlette."""

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.active.span
        self._pieces: AsyncIterator[Any] | None = None
        exchange.is_streamed = True

    @classmethod
    def of(cls, response: Any, exchange: Exchange) -> None:
        """Replace a response's `body_iterator`."""
        made = cls(response.body_iterator, exchange)
        try:
            response.body_iterator = made
        except BaseException:  # which forbids replacing it
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
        except BaseException:  # the client has disconnected
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
        if name == "body":  # of an object that is being copied and has no attributes yet
            raise AttributeError(name)
        return getattr(self.body, name)

    def __del__(self) -> None:
        if "_exchange" in vars(self):  # otherwise an exception interrupted the constructor
            self._exchange.forgotten()
