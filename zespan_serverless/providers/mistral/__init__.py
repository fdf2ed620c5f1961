"""Mistral's SDK: chat and agents, completions of code, embeddings. Its answers are like OpenAI's."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import field, function_of, items
from .._request import Choke, Endpoint, Request
from .._stream import StreamReader, follow_generator
from ..openai._chat import Chat
from ..openai._chunks import Chunks
from ..openai._others import Other

_PROVIDER = "mistral_ai"


class Calls(Choke):
    """Model calls without a stream; `stream()` has one."""

    classes: tuple[str, ...] = ("Chat", "Agents", "Fim")
    methods: tuple[str, ...] = ("complete", "complete_async")
    paths: tuple[str, ...] = ("chat", "agents", "fim")
    is_stream = False

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        prompt = kwargs.get("prompt")
        return Request(
            CHAT,
            _PROVIDER,
            kwargs.get("model") or kwargs.get("agent_id") or "unknown",
            messages=kwargs.get("messages") if prompt is None else [{"role": "user", "content": prompt}],
            tools=[function for tool in items(kwargs.get("tools")) if (function := function_of(tool))],
            stream=self.is_stream,
        )


class Streams(Calls):
    """Calls with a stream."""

    methods: tuple[str, ...] = ("stream", "stream_async")
    is_stream = True


class Embeds(Choke):
    """Calls for embeddings."""

    classes: tuple[str, ...] = ("Embeddings",)
    methods: tuple[str, ...] = ("create", "create_async")
    paths: tuple[str, ...] = ("embeddings",)

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        given = kwargs.get("inputs")
        messages = [{"role": "user", "content": one} for one in items(given) or [given]]
        return Request(EMBED, _PROVIDER, kwargs.get("model", "unknown"), messages=messages)


class MistralChat(Chat):
    """Reads completions, and their streams of events, each of which holds a chunk."""

    def pieces(self) -> Events:
        return Events(self.answer)

    def follow(self, call: Any, stream: Any) -> Any:
        if not hasattr(stream, "generator"):  # mistralai 1.0
            return follow_generator(call, stream)
        stream.generator = StreamReader(call, stream.generator)
        return stream


class Events(Chunks):
    """The events of one stream."""

    def add(self, chunk: Any) -> bool:
        return Chunks.add(self, field(chunk, "data"))

    def answer(self) -> Answer:
        return Chunks.answer(self)


CHAT: Endpoint = MistralChat()
EMBED: Endpoint = Other("embedding", "embeddings", "inputs")
CHOKES = (Calls(), Streams(), Embeds())
