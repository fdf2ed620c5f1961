"""A stream of chunks, while the user reads it."""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from .._log import warn_once
from ._messages import Answer, arguments_of, function_of, text_of
from ._observing import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._calls import Call


class Reading:
    """A stream's iterator, while the user reads. Ends in one event: read to its end, failed, closed, dropped, or left.

    Nothing that it holds leads back to the stream. In openai's own iterator something does, and so a dropped stream
    keeps its connection until the garbage collector comes round; ours reads on from a copy of the stream.
    """

    def __init__(self, call: Call, stream: Any) -> None:
        self.call = call
        self.answer = Answer()
        self.parts: list[str] = []
        self.calls: dict[int, list[str]] = {}
        self.busy = False
        self.chunks = _apart(stream) if _is_own(stream) else stream._iterator
        close = "aclose" if hasattr(self.chunks, "__anext__") else "close"
        once(stream.response, close, _weakly(self.closed))  # which is what the helper `.stream()` closes
        call.span.ends[id(call)] = _weakly(self.end)  # the invocation may end first
        stream._iterator = self

    def __iter__(self) -> Reading:
        return self

    def __aiter__(self) -> Reading:
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
        self.see(chunk)
        return chunk

    def see(self, chunk: Any) -> None:
        try:
            answer = self.answer
            if answer.first_token_ms is None:
                answer.first_token_ms = round((time.perf_counter() - self.call.began) * 1000, 3)
            answer.model = text_of(chunk, "model") or answer.model
            answer.count(getattr(chunk, "usage", None))
            for choice in getattr(chunk, "choices", None) or ():
                if not choice.index:  # the first of `n`
                    answer.finish_reason = text_of(choice, "finish_reason") or answer.finish_reason
                    self.parts.append(text_of(choice.delta, "content"))
                    for piece in getattr(choice.delta, "tool_calls", None) or ():
                        self.see_call(piece)
        except Exception as error:
            warn_once("a chunk was not read: %r", error)

    def see_call(self, piece: Any) -> None:
        function = function_of(piece)
        call = self.calls.setdefault(piece.index, ["", ""])
        call[0] = text_of(function, "name") or call[0]
        call[1] += arguments_of(function)

    def closed(self) -> None:
        if not self.busy:  # else the stream closes by itself, at its end or for an error
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        if self.call.once.locked():
            return
        try:
            self.answer.text = "".join(self.parts)
            for name, arguments in self.calls.values():
                self.answer.tool(name, arguments)
        except Exception as problem:
            warn_once("a stream was not read: %r", problem)
        # Leaving early is not an error; the event then has no finish_reason.
        self.call.end(self.answer, None if isinstance(error, (StopIteration, StopAsyncIteration)) else error)

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        if not exiting():  # else there is nobody left to send an event, and perhaps not even a module `sys`
            self.end()


def _is_own(stream: Any) -> bool:
    """Whether a stream still reads from the generator that openai has made, and not from another tool's around it."""
    chunks = stream._iterator
    code = getattr(chunks, "gi_code", None) or getattr(chunks, "ag_code", None)
    return code is not None and code is getattr(type(stream).__stream__, "__code__", None)


def _apart(stream: Any) -> Any:
    """A generator like that of `stream`, which does not lead back to it."""
    from copy import copy  # not above: openai has it by now, and a cold start is spared what it may not need

    twin = copy(stream)
    del twin._iterator
    return twin.__stream__()


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """`method`, for as long as its object lives: whoever is to call it does not keep that alive."""
    alive = weakref.WeakMethod(method)

    def call() -> None:
        bound = alive()
        if bound is not None:
            bound()

    return call
