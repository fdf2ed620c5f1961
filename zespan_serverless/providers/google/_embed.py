"""Embeddings: reads requests and answers."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, items
from .._request import Choke, Endpoint, Request
from ._generate import messages_of, provider_of


class Embed(Choke):
    """Calls for embeddings."""

    classes = ("Models", "AsyncModels")
    methods = ("embed_content", "_embed_content")  # older versions have the first one only
    is_inner = True
    paths = ("models", "aio.models")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        contents = kwargs.get("contents") or kwargs.get("content")
        return Request(EMBED, provider_of(owner), kwargs.get("model", "unknown"), messages=messages_of(contents))

    def continues(self, outer: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return outer.endpoint is EMBED


class Embeddings(Endpoint):
    """Reads embeddings, of which only Vertex AI counts the tokens."""

    kind, operation = "embedding", "embeddings"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        counts = [count_of(field(one, "statistics"), "token_count") for one in items(field(result, "embeddings"))]
        answer.input_tokens = sum(counts)
        answer.known = any(counts)
        return answer


EMBED = Embeddings()
