"""Responses whose bodies are made while they are sent, when the application has long returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _trace
from ._guard import Guarded
from ._web import Response, content_length

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from ._lifecycle import Call


class Exchange:
    """One request's response. The invocation is closed once: by the end of the body, or by an error.

    Nothing in here raises.
    """

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
                self.call.settle(self._close(error, cut=cut), error)
                self._captured = self.call.container.delivery.captured

    async def finish(self, error: BaseException | None, result: object = None, *, cut: bool = False) -> None:
        """`end` that leaves the event loop free. `result`: what there is instead of a response."""
        with Guarded("the end of a response"):
            if not self.is_over:
                report = self._close(error, cut=cut, result=result)
                if not self.call.hands_over(report, error):
                    report()
                    await self.call.flushed()
                self._captured = self.call.container.delivery.captured

    def break_off(self, error: BaseException | None, *, cut: bool = False) -> None:
        """`end` that cannot wait, whatever the platform: the task is being cancelled, or this may be any thread, and
        any moment."""
        with Guarded("the end of a response"):
            if not self.is_over:
                self._close(error, cut=cut)()
            self._flush_soon()

    def forgotten(self) -> None:
        """Nobody has read the body to its end, or closed it."""
        if self.is_streamed and not self.is_over:
            self.break_off(None, cut=True)

    def closed(self) -> None:
        """What the application had to do after the response is done."""
        with Guarded("the flush"):
            if self.call.container.delivery.captured != self._captured:
                self._flush_soon()

    def _close(self, error: BaseException | None, *, cut: bool, result: object = None) -> Callable[[], None]:
        self.is_over = True
        # Nobody reads a body that is not to be sent to its end.
        is_cut = cut and self._method != "HEAD" and self.status not in (204, 304)
        return self.call.close(error or self.error, Response(self.status, is_cut) if result is None else result)

    def _flush_soon(self) -> None:
        self.call.container.delivery.flush_soon(self.call.container.settings.flush_timeout)


class Body:
    """A streamed body: what its pieces are made of happens in the request's trace, and its end is the request's."""

    def __init__(self, body: Iterable[Any], exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.call.span  # a step may go on from one piece to the next
        self._pieces: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        token = _trace.enter(self._here)
        try:
            if self._pieces is None:
                self._pieces = iter(self.body)
            piece = next(self._pieces)
        except StopIteration:
            self._exchange.end(None)
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise
        finally:
            self._here = _trace.current()
            _trace.leave(token)
        if self._exchange.is_last(piece):
            self._exchange.end(None)
        return piece

    def close(self) -> None:
        token = _trace.enter(self._here)
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._exchange.end(error)
            raise
        finally:
            _trace.leave(token)
        self._exchange.end(None, cut=True)
        self._exchange.closed()

    def __del__(self) -> None:
        self._exchange.forgotten()


class AsyncBody:
    """The same for a body that is iterated by `async for`, as Starlette has it."""

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self.body, self._exchange = body, exchange
        self._here: _trace.Span | None = exchange.call.span
        self._pieces: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> Any:
        token = _trace.enter(self._here)
        try:
            if self._pieces is None:
                self._pieces = aiter(self.body)
            piece = await anext(self._pieces)
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
            _trace.leave(token)
        if self._exchange.is_last(piece):
            await self._exchange.finish(None)
        return piece

    async def aclose(self) -> None:
        close = getattr(self.body, "aclose", None)
        token = _trace.enter(self._here)
        try:
            if close is not None:
                await close()
        finally:
            _trace.leave(token)
            self._exchange.forgotten()

    def __getattr__(self, name: str) -> Any:
        if name == "body":  # of one that is being copied: it has nothing yet
            raise AttributeError(name)
        return getattr(self.body, name)

    def __del__(self) -> None:
        self._exchange.forgotten()
