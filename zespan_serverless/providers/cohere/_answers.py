"""Answers of Cohere's models."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, items, text_of, texts_of
from .._request import Endpoint
from ._events import Events, count
from ._streams import Entering


class Other(Endpoint):
    """Reads an answer that has numbers of tokens at most."""

    def __init__(self, kind: str, operation: str) -> None:
        self.kind, self.operation = kind, operation

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        count(answer, field(_data(result), "meta"))
        return answer


class Generate(Other):
    """Reads generated texts, of the first API."""

    def answer(self, result: Any) -> Answer:
        answer = Other.answer(self, result)
        texts = [text_of(one, "text") for one in items(field(_data(result), "generations"))]
        answer.text, answer.others = "".join(texts[:1]), texts[1:]
        return answer


class Chat(Endpoint):
    """Reads answers of either version."""

    def answer(self, result: Any) -> Answer:
        answer, result = Answer(), _data(result)
        answer.finish_reason = text_of(result, "finish_reason")
        count(answer, field(result, "usage") or field(result, "meta"))
        message = field(result, "message")
        answer.text = "".join(texts_of(message)) or text_of(result, "text")
        for call in items(field(message, "tool_calls") or field(result, "tool_calls")):
            function = field(call, "function") or call
            answer.tool(text_of(function, "name"), field(function, "arguments") or field(function, "parameters"))
        answer.cached_tokens = count_of(field(result, "usage"), "cached_tokens")
        return answer

    def pieces(self) -> Events:
        return Events(self.answer)

    def follow(self, call: Any, stream: Any) -> Any:
        return Entering(call, stream)


def _data(result: Any) -> Any:
    """Return the answer in the response of a raw client, or an answer itself."""
    data = field(result, "data")
    return result if data is None else data


CHAT = Chat()
GENERATE = Generate("llm", "text_completion")
EMBED = Other("embedding", "embeddings")
RERANK = Other("rerank", "rerank")
