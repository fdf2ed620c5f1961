"""LiteLLM's streams, while the user reads them.

Each is an object of a class of LiteLLM's, which users and LiteLLM itself ask for by `isinstance`. So the methods of the
classes are observed, for the streams that have a reader.
"""

from __future__ import annotations

import functools
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from .._fields import field
from .._stream import StreamReader, follow_generator
from ..openai._chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Callable

_READER = "_zespan_reader"
_USAGE = (
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"),
    *("cost", "prompt_cache_hit_tokens"),
)


class Pieces(Chunks):
    """The chunks of a chat completion.

    `kept` is LiteLLM's own list of them, which has the usage that it gives to the user only if asked. Several chunks
    may have a part of the usage: Anthropic's first one has the input, the last one the output.
    """

    kept: Any = None
    _count = 0

    def add(self, chunk: Any) -> bool:
        if not isinstance(self.kept, list):
            return self._add(chunk)
        has_content = False
        while self._count < len(self.kept):
            self._count += 1
            has_content = self._add(self.kept[self._count - 1]) or has_content
        return has_content

    def _add(self, chunk: Any) -> bool:
        before = self._usage
        has_content = Chunks.add(self, chunk)
        if self._usage is not before:
            self._usage = {name: field(self._usage, name) or field(before, name) for name in _USAGE}
        return has_content

    def answer(self) -> Any:
        if isinstance(self.kept, list):
            self.add(None)
        return Chunks.answer(self)


def follow(call: Any, stream: Any) -> Any:
    """Read along in a stream. Returns the stream, or a generator in the place of one."""
    if isinstance(stream, (GeneratorType, AsyncGeneratorType)):
        return follow_generator(call, stream)
    for name, observe in (("__next__", _step), ("__anext__", _async_step), ("close", _close), ("aclose", _async_close)):
        owner = next((kind for kind in type(stream).__mro__ if name in vars(kind)), None)
        if owner is not None and not hasattr(vars(owner)[name], "__zespan_original__"):
            watched: Any = functools.wraps(vars(owner)[name])(observe(vars(owner)[name]))
            watched.__zespan_original__ = vars(owner)[name]
            setattr(owner, name, watched)
    reader = StreamReader(call, None, are_raw=True)
    if isinstance(reader.pieces, Pieces):
        reader.pieces.kept = field(stream, "chunks")
    vars(stream)[_READER] = reader
    return stream


def _reader_of(stream: Any) -> StreamReader | None:
    """Return the reader of a stream; None if it has none, or is inside a step of a class that this one extends."""
    reader: StreamReader | None = vars(stream).get(_READER)
    return None if reader is None or reader.busy else reader


def _step(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def __next__(self: Any) -> Any:  # noqa: N807
        reader = _reader_of(self)
        if reader is None:
            return method(self)
        reader.busy = True
        try:
            chunk = method(self)
        except BaseException as error:
            reader.end(error)
            raise
        finally:
            reader.busy = False
        reader.see(chunk)
        return chunk

    return __next__


def _async_step(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def __anext__(self: Any) -> Any:  # noqa: N807
        reader = _reader_of(self)
        if reader is None:
            return await method(self)
        reader.busy = True
        try:
            chunk = await method(self)
        except BaseException as error:
            reader.end(error)
            raise
        finally:
            reader.busy = False
        reader.see(chunk)
        return chunk

    return __anext__


def _close(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def close(self: Any) -> Any:
        try:
            return method(self)
        finally:
            _closed(self)

    return close


def _async_close(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def aclose(self: Any) -> Any:
        try:
            return await method(self)
        finally:
            _closed(self)

    return aclose


def _closed(stream: Any) -> None:
    reader = _reader_of(stream)
    if reader is not None:
        reader.closed()
