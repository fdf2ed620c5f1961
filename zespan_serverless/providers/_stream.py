"""A stream, while the user reads it.

It is read where the SDK reads, beneath whatever other tools put into the stream or around it later: so they see the
same chunks as without this package, which sees those that the model has sent.
"""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import warn_once
from ._sending import Within
from ._wrap import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._call import ModelCall


_PROXIES_MAX = 10
_END = object()


class StreamReader:
    """Reads the chunks of a stream for the user.

    It ends in one record: when the stream is exhausted, fails, or is closed, dropped or left.
    """

    def __init__(self, call: ModelCall, chunks: Any, *, are_raw: bool = False) -> None:
        """`are_raw`: the chunks still have to be parsed; the code that does that calls `see`."""
        self.are_raw = are_raw
        self.first_chunk_ms: float | None = None
        self.first_content_ms: float | None = None
        self.pieces = call.request.endpoint.pieces()
        self.busy = False
        self.call, self.chunks = call, chunks
        call.span.root.open[id(call)] = weakly(self.end)  # the invocation may end first

    def __iter__(self) -> StreamReader:
        return self

    def __aiter__(self) -> StreamReader:
        return self

    def __next__(self) -> Any:
        self.busy = True
        try:
            chunk = next(self.chunks)
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.busy = False
        if not self.are_raw:
            self.see(chunk)
        return chunk

    async def __anext__(self) -> Any:
        self.busy = True
        try:
            chunk = await anext(self.chunks)
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.busy = False
        if not self.are_raw:
            self.see(chunk)
        return chunk

    def see(self, chunk: Any) -> None:
        """Add a chunk. Never raises, except what a signal handler raises."""
        try:
            if self.first_chunk_ms is None:
                self.first_chunk_ms = self._now_ms()
            if self.pieces.add(chunk) and self.first_content_ms is None:
                self.first_content_ms = self._now_ms()
        except Exception as error:
            pass_on(error)
            warn_once("stream-unread", "a chunk was not read: %r", error)

    def _now_ms(self) -> float:
        return round((time.perf_counter() - self.call.began) * 1000, 3)

    def closed(self) -> None:
        if not self.busy:  # else the stream closes by itself, at its end or for an error
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """End the call. Never raises, except what a signal handler raises."""
        if self.call.once.locked():
            return
        answer = None
        try:
            if isinstance(error, (StopIteration, StopAsyncIteration)):
                error = None
            answer = self.pieces.answer()
            answer.first_chunk_ms, answer.first_token_ms = self.first_chunk_ms, self.first_content_ms
        except Exception as problem:
            pass_on(problem)
            warn_once("stream-unread", "a stream was not read: %r", problem)
        finally:
            self.call.end(answer, error)  # leaving early is not an error; the event then has no finish_reason

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the end of the interpreter nothing can be sent, and there may not even be a module `sys`.
        if hasattr(self, "call") and not exiting():
            self.end()


def follow_generator(call: ModelCall, chunks: Any) -> Any:
    """Read along in a generator or an asynchronous one. Return a generator of the same kind."""
    reader = StreamReader(call, chunks)
    return _async_generator(reader) if hasattr(chunks, "__anext__") else _generator(reader)


def _generator(reader: StreamReader) -> Any:
    try:
        with Within(reader.call.attempts):  # the request may be sent only now
            first = next(reader, _END)
        if first is not _END:
            yield first
            yield from reader
    except GeneratorExit:
        reader.chunks.close()
        raise
    finally:
        reader.closed()


async def _async_generator(reader: StreamReader) -> Any:
    try:
        with Within(reader.call.attempts):
            first = await anext(reader, _END)
        if first is not _END:
            yield first
            async for chunk in reader:
                yield chunk
    except GeneratorExit:
        await reader.chunks.aclose()
        raise
    finally:
        reader.closed()


def follow_stainless(call: ModelCall, stream: Any) -> Any:
    """Read along in a stream of an SDK that Stainless generates. Return the stream.

    The reader has no reference to the stream. The SDK's own iterator may have one, so that a dropped stream keeps its
    connection until the garbage collector runs; our iterator reads from a copy of the stream.
    """
    inner = _unwrapped(stream)
    chunks = _apart(inner) if _is_own(inner) else inner._iterator
    inner._iterator = read_along(call, chunks, inner.response)
    return stream


def read_along(call: ModelCall, chunks: Any, response: Any) -> StreamReader:
    """Return a reader that replaces an SDK's iterator. It ends when the HTTP response is closed, if not before."""
    reader = StreamReader(call, chunks)
    once(response, "aclose" if hasattr(chunks, "__anext__") else "close", weakly(reader.closed))
    return reader


def _unwrapped(stream: Any) -> Any:
    """Return the SDK's stream inside other tools' proxies, such as OpenInference's."""
    for _ in range(_PROXIES_MAX):
        if hasattr(type(stream), "__stream__") or not hasattr(stream, "__wrapped__"):
            break
        stream = stream.__wrapped__
    return stream


def _is_own(stream: Any) -> bool:
    """Whether a stream still reads from the generator that the SDK has made, so that a copy can make another."""
    chunks = stream._iterator
    code = getattr(chunks, "gi_code", None) or getattr(chunks, "ag_code", None)
    return code is not None and code is getattr(getattr(type(stream), "__stream__", None), "__code__", None)


def _apart(stream: Any) -> Any:
    """Return a generator like that of `stream`, without a reference to it."""
    from copy import copy  # imported here, because the SDK has imported it by now, and a cold start may not need it

    twin = copy(stream)
    del twin._iterator
    return twin.__stream__()


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return `method` while its object lives, without keeping the object alive."""
    alive = weakref.WeakMethod(method)

    def call() -> None:
        bound = alive()
        if bound is not None:
            bound()

    return call
