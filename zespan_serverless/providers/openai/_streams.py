"""A stream of chunks, while the user reads it.

A stream is met where openai makes it (`watch`), beneath whatever other tools put into it or around it later: so they
see the chunks that they would see without us, and we see those that the model has sent.
"""

from __future__ import annotations

import functools
import sys
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..._base.guard import pass_on
from ..._base.log import warn_once
from ._messages import Answer, arguments_of, field, function_of, text_of
from ._observing import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._calls import Call

waiting: ContextVar[Call | None] = ContextVar("zespan_serverless_openai_call", default=None)
"""The call under way here, whose stream may be about to be made."""


def watch(owner: Any) -> None:
    """Have each stream of this class tell the call that it is made in. Idempotent."""
    original = vars(owner).get("__init__")
    if original is None or hasattr(original, "__zespan_original__"):
        return

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        call = waiting.get()
        if call is not None:
            call.met(self)

    __init__.__zespan_original__ = original  # type: ignore[attr-defined]
    owner.__init__ = __init__


class Reading:
    """A stream's iterator, while the user reads. Ends in one event: read to its end, failed, closed, dropped, or left.

    Nothing that it holds leads back to the stream. In openai's own iterator something does, and so a dropped stream
    keeps its connection until the garbage collector comes round; ours reads on from a copy of the stream.
    """

    def __init__(self, call: Call, stream: Any) -> None:
        self.first_content_ms: float | None = None
        self.seen = Pieces()
        self.busy = False
        self.call = call
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
        """Never raises, but for what a signal handler does."""
        try:
            if self.seen.add(chunk) and self.first_content_ms is None:
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
            answer = Answer.of(self.seen.completion())
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


class Pieces:
    """The chunks of a stream, put together to what the model would have answered without one."""

    def __init__(self) -> None:
        self._model = ""
        self._usage: Any = None
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Any) -> bool:
        """Whether there is anything of the answer in it: text, reasoning, sound, or a part of a tool's call."""
        self._model = text_of(chunk, "model") or self._model
        self._usage = field(chunk, "usage") or self._usage
        news = False
        for piece in field(chunk, "choices") or ():
            index = field(piece, "index") or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice()
            news = choice.add(piece) or news
        return news

    def completion(self) -> dict[str, Any]:
        """In the fields of a completion."""
        choices = [{"index": index, **choice.fields()} for index, choice in sorted(self._choices.items())]
        return {"model": self._model, "usage": self._usage, "choices": choices}


_TEXTS = ("content", "refusal")
_MORE_TEXTS = ("reasoning_content", "reasoning")


class _Choice:
    """One of the `n` answers."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.texts: dict[str, list[str]] = {}  # by their field
        self.sound: list[str] = []  # what is said in it
        self.function: list[str] | None = None  # name, arguments
        self.tools: dict[int, tuple[str, list[str]]] = {}  # kind; name, arguments

    def add(self, piece: Any) -> bool:
        self.finish_reason = text_of(piece, "finish_reason") or self.finish_reason
        delta = field(piece, "delta")
        # What openai has no field for, such as other makers' reasoning.
        more = delta if isinstance(delta, dict) else getattr(delta, "model_extra", None)
        news = False
        for name in _TEXTS + _MORE_TEXTS if more else _TEXTS:
            text = _text_in(field(delta, name))
            if text:
                news = True
                self.texts.setdefault(name, []).append(text)
        for call in field(delta, "tool_calls") or ():
            news = self._add_tool(call) or news
        function = field(delta, "function_call")
        if function:
            self.function = self.function or ["", ""]
            news = _add_call(self.function, function) or news
        audio = field(delta, "audio")
        if audio:
            self.sound.append(text_of(audio, "transcript"))
            news = bool(self.sound[-1] or text_of(audio, "data")) or news
        return news

    def _add_tool(self, call: Any) -> bool:
        function = function_of(call)
        if not function:
            return False
        index = field(call, "index") or 0
        kind = "custom" if field(call, "custom") else "function"
        return _add_call(self.tools.setdefault(index, (kind, ["", ""]))[1], function)

    def fields(self) -> dict[str, Any]:
        message: dict[str, Any] = {name: "".join(texts) for name, texts in self.texts.items()}
        message["content"] = message.get("content")
        if self.sound:
            message["audio"] = {"transcript": "".join(self.sound)}
        if self.function:
            message["function_call"] = {"name": self.function[0], "arguments": self.function[1]}
        if self.tools:
            words = {"function": "arguments", "custom": "input"}
            message["tool_calls"] = [
                {"type": kind, kind: {"name": name, words[kind]: arguments}}
                for _, (kind, (name, arguments)) in sorted(self.tools.items())
            ]
        return {"finish_reason": self.finish_reason, "message": message}


def _text_in(content: Any) -> str:
    """A text, or the texts of several parts."""
    if isinstance(content, (list, tuple)):
        return "".join(text_of(part, "text") for part in content)
    return content if isinstance(content, str) else ""


def _add_call(texts: list[str], function: Any) -> bool:
    """The name comes once, or again and again; arguments come in pieces."""
    name, arguments = text_of(function, "name"), arguments_of(function)
    texts[0] = name or texts[0]
    texts[1] += arguments
    return bool(name or arguments)


def _is_own(stream: Any) -> bool:
    """Whether a stream still reads from the generator that openai has made, and a copy of it can make another."""
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
