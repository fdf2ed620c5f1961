"""Responses whose bodies are made while they are sent, when the application has long returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _trace
from ._lifecycle import Guarded
from ._web import Response, content_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._lifecycle import Call
    from ._web import WebHost


class Exchange:
    """One request's response. The invocation is closed once: by the end of the body, or by an error."""

    def __init__(self, host: WebHost, call: Call, method: str = "") -> None:
        self.call, self.host, self._method = call, host, method
        self.status: int | None = None
        self.error: Exception | None = None  # that the application has answered
        self.is_over = False
        self._left = -1  # bytes of the body that are to come, if that matters and is known
        self._captured = 0  # events so far, when it was over

    def announced(self, length: str | None) -> None:
        """What its Content-Length header says."""
        if self.host.holds(self.call.invocation):  # then nothing may run after the last byte
            self._left = content_length(length) or -1

    def is_last(self, piece: object) -> bool:
        """Whether a piece that is about to go out is the end of what the client has been told to wait for."""
        if self._left > 0 and isinstance(piece, bytes):
            self._left -= len(piece)
            return self._left <= 0
        return False

    def end(self, error: BaseException | None, *, cut: bool = False) -> None:
        """`cut`: before the body was over."""
        if not self.is_over:
            self.is_over = True
            error = error or self.error
            self.call.settle(self.call.close(error, self.response(cut=cut)), error)
            self._captured = self.call.container.delivery.captured

    def response(self, *, cut: bool) -> Response:
        # Nobody reads a body that is not to be sent to its end.
        return Response(self.status, cut and self._method != "HEAD" and self.status not in (204, 304))

    def forgotten(self) -> None:
        """Nobody has read the body to its end, or closed it: this may be any thread, and any moment."""
        if not self.is_over:
            self.is_over = True
            with Guarded("the flush"):
                self.call.close(self.error, self.response(cut=True))()
                self.flush_soon()

    def closed(self) -> None:
        """What the application had to do after the response is done."""
        with Guarded("the flush"):
            if self.call.container.delivery.captured != self._captured:
                self.flush_soon()

    def flush_soon(self) -> None:
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
