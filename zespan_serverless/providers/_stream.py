"""A stream of an SDK that Stainless generates (openai, anthropic, groq), while the user reads it.

A stream is met where the SDK makes it (`watch`), beneath whatever other tools put into it or around it later: so they
see the chunks that they would see without us, and we see those that the model has sent.
"""

from __future__ import annotations

import functools
import sys
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import warn_once
from ._wrap import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._call import ModelCall

open_call: ContextVar[ModelCall | None] = ContextVar("zespan_serverless_model_call", default=None)
"""The call under way here, whose stream may be about to be made."""


def watch(owner: Any) -> None:
    """Have each stream of this class tell the call that it is made in. Idempotent."""
    original = vars(owner).get("__init__")
    if original is None or hasattr(original, "__zespan_original__"):
        return

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        call = open_call.get()
        if call is not None:
            call.met(self)

    __init__.__zespan_original__ = original  # type: ignore[attr-defined]
    owner.__init__ = __init__


class StreamReader:
    """A stream's iterator, while the user reads. Ends in one event: read to its end, failed, closed, dropped, or left.

    Nothing that it holds leads back to the stream. In the SDK's own iterator something does, and so a dropped stream
    keeps its connection until the garbage collector comes round; ours reads on from a copy of the stream.
    """

    def __init__(self, call: ModelCall, stream: Any) -> None:
        self.first_content_ms: float | None = None
        self.pieces = call.request.endpoint.pieces()
        self.busy = False
        self.call = call
        self.chunks = _apart(stream) if _is_own(stream) else stream._iterator
        close = "aclose" if hasattr(self.chunks, "__anext__") else "close"
        once(stream.response, close, _weakly(self.closed))  # which is what the helper `.stream()` closes
        call.span.ends[id(call)] = _weakly(self.end)  # the invocation may end first
        stream._iterator = self

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
        """Never raises, but for what a signal handler does."""
        try:
            if self.pieces.add(chunk) and self.first_content_ms is None:
                self.first_content_ms = round((time.perf_counter() - self.call.began) * 1000, 3)
        except Exception as error:
            pass_on(error)
            warn_once("a chunk was not read: %r", error)

    def closed(self) -> None:
        if not self.busy:  # else the stream closes by itself, at its end or for an error
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """Never raises, but for what a signal handler does."""
        if self.call.once.locked():
            return
        answer = None
        try:
            if isinstance(error, (StopIteration, StopAsyncIteration)):
                error = None
            answer = self.pieces.answer()
            answer.first_token_ms = self.first_content_ms
        except Exception as problem:
            pass_on(problem)
            warn_once("a stream was not read: %r", problem)
        finally:
            self.call.end(answer, error)  # leaving early is not an error; the event then has no finish_reason

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        if (
            hasattr(self, "call") and not exiting()
        ):  # else there is nobody left to send an event, and perhaps not even a module `sys`
            self.end()


def _is_own(stream: Any) -> bool:
    """Whether a stream still reads from the generator that the SDK has made, and a copy of it can make another."""
    kind, chunks = type(stream), stream._iterator
    code = getattr(chunks, "gi_code", None) or getattr(chunks, "ag_code", None)
    complete = hasattr(kind.__init__, "__zespan_original__") or not _is_watched(kind)
    return complete and code is not None and code is getattr(kind.__stream__, "__code__", None)


def _is_watched(kind: type) -> bool:
    """Whether a class is, or inherits from, one that tells of its streams; those of one with an `__init__` of its own
    are met before that is through with them."""
    return any(hasattr(vars(base).get("__init__"), "__zespan_original__") for base in kind.__mro__)


def _apart(stream: Any) -> Any:
    """A generator like that of `stream`, which does not lead back to it."""
    from copy import copy  # not above: the SDK has it by now, and a cold start is spared what it may not need

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
