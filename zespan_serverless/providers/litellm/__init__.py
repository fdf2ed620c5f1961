"""LiteLLM: the calls that it sends by itself, without another SDK.

    _streams  streams, of which LiteLLM has classes of its own

LiteLLM calls OpenAI by OpenAI's SDK, and most others over HTTP. Its functions are traced, whatever they use; where
another SDK is called inside, that call has the event (`Endpoint.is_relay`). Its official callbacks would not do: those
of asynchronous calls run in an unawaited task of the event loop, and are lost when a function returns.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._fields import field, function_of, items, text_of
from .._request import Choke, Request
from ..openai._chat import Chat
from ..openai._others import Other
from ..openai._responses import Responses
from ._streams import Pieces, follow

if TYPE_CHECKING:
    from ..._record.model import Answer

# OpenTelemetry's names, where LiteLLM has others.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "xai": "x_ai",
}


class Functions(Choke):
    """A function, and the asynchronous one beside it. That calls the other, which returns a coroutine then."""

    def __init__(self, name: str, *arguments: str) -> None:
        """`arguments` are the names of those that may be passed by their position."""
        self.functions: tuple[str, ...] = (name, f"a{name}")
        self._arguments = arguments

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        if kwargs.get(self.functions[1]) or kwargs.get("mock_response"):
            return None
        given = {**dict(zip(self._arguments, args, strict=False)), **kwargs}
        provider, model = _provider_of(text_of(given, "model"), text_of(given, "custom_llm_provider"))
        return self.asks(given, provider, model)

    def asks(self, given: dict[str, Any], provider: str, model: str) -> Request:
        """Return the request that these arguments make."""
        raise NotImplementedError


class Completion(Functions):
    """Chat completions."""

    def asks(self, given: dict[str, Any], provider: str, model: str) -> Request:
        tools = [function for tool in items(given.get("tools")) if (function := function_of(tool))]
        return Request(CHAT, provider, model, messages=given.get("messages"), tools=tools, stream=given.get("stream"))


class Response(Functions):
    """The Responses API."""

    def asks(self, given: dict[str, Any], provider: str, model: str) -> Request:
        asked = given.get("input")
        return Request(
            RESPONSES,
            provider,
            model,
            messages=[{"role": "user", "content": asked}] if isinstance(asked, str) else asked,
            system=given.get("instructions"),
            tools=[tool for tool in items(given.get("tools")) if field(tool, "name")],
            stream=given.get("stream"),
        )


class Embedding(Functions):
    """Embeddings."""

    def asks(self, given: dict[str, Any], provider: str, model: str) -> Request:
        asked = given.get("input")
        inputs = asked if isinstance(asked, list) and all(isinstance(one, str) for one in asked) else [asked]
        messages = [{"role": "user", "content": one} for one in inputs if one is not None]
        return Request(EMBEDDINGS, provider, model, messages=messages)


class _Chat(Chat):
    is_relay = True

    def pieces(self) -> Any:
        return Pieces(self.answer)

    def follow(self, call: Any, stream: Any) -> Any:
        return follow(call, stream)


class _Responses(Responses):
    is_relay = True

    def follow(self, call: Any, stream: Any) -> Any:
        return follow(call, stream)


class _Embeddings(Other):
    is_relay = True

    def answer(self, result: Any) -> Answer:
        answer = Other.answer(self, result)
        answer.text = ""
        return answer


CHAT, RESPONSES, EMBEDDINGS = _Chat(), _Responses(), _Embeddings("embedding", "embeddings")


def _provider_of(model: str, said: str) -> tuple[str, str]:
    """Return the provider, and its name of the model. LiteLLM's table has the provider if the name lacks it."""
    first, _, rest = model.partition("/")
    if said:
        rest = rest if first == said else model
    elif rest:
        said = first
    else:
        table = getattr(sys.modules.get("litellm"), "model_cost", None)
        said, rest = text_of(field(table, model), "litellm_provider") or "openai", model
    said = "vertex_ai" if said.startswith("vertex_ai-") else said
    return _PROVIDERS.get(said, "gcp.vertex_ai" if said == "vertex_ai" else said), rest.removeprefix("converse/")


CHOKES = (
    Completion("completion", "model", "messages"),
    Embedding("embedding", "model", "input"),
    Response("responses", "input", "model"),
)
