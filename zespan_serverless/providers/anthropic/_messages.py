"""Messages: reads requests and answers."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import as_text, field, held_by, items
from .._request import Choke, Request
from .._stainless import StainlessEndpoint
from ._events import Events
from ._usage import count

_CLOUDS = (("Bedrock", "aws.bedrock"), ("Vertex", "gcp.vertex_ai"), ("Foundry", "azure.ai.foundry"))


class Methods(Choke):
    """The methods of a client of another make; Anthropic's own pass `request` alone."""

    methods = ("create",)
    paths = ("messages",)

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        return MESSAGES.request_of(field(owner, "_client"), kwargs, kwargs.get("extra_headers"))


def _provider_of(client: Any) -> str:
    """Return the provider that a client calls; those for other clouds are classes of their own."""
    name = type(client).__name__
    return next((provider for part, provider in _CLOUDS if part in name), "anthropic")


class Messages(StainlessEndpoint):
    """Reads messages: objects of the SDK, or dicts with the same fields."""

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        return Request(
            self,
            _provider_of(client),
            body.get("model", "unknown"),
            messages=body.get("messages"),
            system=body.get("system"),
            tools=[tool for tool in items(body.get("tools")) if field(tool, "name")],
            stream=body.get("stream"),
            headers=headers,
        )

    def answer(self, result: Any) -> Answer:
        answer, get = Answer(), held_by(result).get
        answer.model, answer.finish_reason = as_text(get("model")), as_text(get("stop_reason"))
        count(answer, get("usage"))
        for block in map(held_by, items(get("content"))):
            kind = block.get("type")
            if kind == "text":
                answer.text += as_text(block.get("text"))
            elif kind == "tool_use":
                answer.tool(as_text(block.get("name")), block.get("input"))
        answer.text = answer.text or as_text(get("completion"))
        return answer

    def pieces(self) -> Events:
        return Events()


class Complete(Messages):
    """Completions, of the first API."""

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        prompt = {"role": "user", "content": body.get("prompt")}
        return Messages.request_of(self, client, {**body, "messages": [prompt], "system": None, "tools": None}, headers)


MESSAGES, COMPLETE = Messages(), Complete()
