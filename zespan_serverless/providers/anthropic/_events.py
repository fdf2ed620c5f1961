"""The events of a stream of messages, joined to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._record.model import Answer
from .._fields import as_text, field, held_by, text_of
from ._usage import count

if TYPE_CHECKING:
    from collections.abc import Callable


class Events:
    """The events of one stream."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._texts: list[str] = []
        self._tools: dict[Any, tuple[str, list[str]]] = {}  # by the index of their block: name, arguments

    def add(self, chunk: Any) -> bool:
        get = held_by(chunk).get
        kind = as_text(get("type"))
        if kind == "content_block_delta":  # most are
            return self._extend(get("index"), held_by(get("delta")).get)
        if kind == "message_start":
            message = field(chunk, "message")
            self._answer.model = text_of(message, "model")
            count(self._answer, field(message, "usage"))
        elif kind == "message_delta":
            self._answer.finish_reason = text_of(field(chunk, "delta"), "stop_reason")
            count(self._answer, field(chunk, "usage"))
        elif kind == "content_block_start":
            return self._begin(field(chunk, "index"), field(chunk, "content_block"))
        elif kind in ("completion", ""):  # of the first API
            return self._complete(chunk)
        return False

    def answer(self) -> Answer:
        answer = self._answer
        answer.text = "".join(self._texts)
        for name, arguments in self._tools.values():
            answer.tool(name, "".join(arguments) or "{}")
        self._tools = {}
        return answer

    def _begin(self, index: Any, block: Any) -> bool:
        self._texts.append(text_of(block, "text"))
        if field(block, "type") == "tool_use":
            self._tools[index] = (text_of(block, "name"), [])
        return "tool_use" in text_of(block, "type")

    def _extend(self, index: Any, get: Callable[[str], Any]) -> bool:
        text = as_text(get("text"))
        if text:
            self._texts.append(text)
            return True
        arguments = as_text(get("partial_json"))
        if arguments and index in self._tools:
            self._tools[index][1].append(arguments)
        return bool(arguments or as_text(get("thinking")))

    def _complete(self, chunk: Any) -> bool:
        text = text_of(chunk, "completion")
        self._texts.append(text)
        self._answer.model = text_of(chunk, "model") or self._answer.model
        self._answer.finish_reason = text_of(chunk, "stop_reason") or self._answer.finish_reason
        return bool(text)
