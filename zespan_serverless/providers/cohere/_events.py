"""The events of Cohere's streams, joined to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._record.model import Answer
from .._fields import field, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable


class Events:
    """The events of one stream, of either version of the API."""

    def __init__(self, read: Callable[[Any], Answer]) -> None:
        self._read = read
        self._whole: Any = None  # the first version's last event has the whole answer
        self._answer = Answer()
        self._texts: list[str] = []
        self._tools: dict[Any, tuple[str, list[str]]] = {}  # by the index of their event: name, arguments

    def add(self, chunk: Any) -> bool:
        kind = text_of(chunk, "type") or text_of(chunk, "event_type")
        delta = field(chunk, "delta")
        message = field(delta, "message")
        if kind == "content-delta":
            content = field(message, "content")
            self._texts.append(text_of(content, "text"))
            return bool(self._texts[-1] or text_of(content, "thinking"))
        if kind == "text-generation":
            self._texts.append(text_of(chunk, "text"))
            return bool(self._texts[-1])
        if kind in ("tool-call-start", "tool-call-delta"):
            function = field(field(message, "tool_calls"), "function")
            name, arguments = self._tools.setdefault(field(chunk, "index"), (text_of(function, "name"), []))
            arguments.append(text_of(function, "arguments"))
            return bool(name or arguments[-1])
        if kind == "message-end":
            self._answer.finish_reason = text_of(delta, "finish_reason")
            count(self._answer, field(delta, "usage"))
        elif kind == "stream-end":
            self._whole = field(chunk, "response")
        return kind == "tool-plan-delta"

    def answer(self) -> Answer:
        answer = self._answer if self._whole is None else self._read(self._whole)
        answer.text = answer.text or "".join(self._texts)
        for name, arguments in self._tools.values():
            answer.tool(name, "".join(arguments) or "{}")
        self._tools = {}
        return answer


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens that are billed, else those that were counted."""
    for units in (field(usage, "billed_units"), field(usage, "tokens")):
        given, produced = (whole(field(units, name)) for name in ("input_tokens", "output_tokens"))
        answer.known = answer.known or given is not None
        answer.input_tokens = answer.input_tokens or given or 0
        answer.output_tokens = answer.output_tokens or produced or 0
    answer.count("search_units", whole(field(field(usage, "billed_units"), "search_units")) or 0)
