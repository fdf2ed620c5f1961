"""Providers whose SDKs and answers are like OpenAI's: Groq and Mistral."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.providers.apis.api import MESSAGES, Api
from tests.providers.endpoint import Json, events, whole

CHAT: Json = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "a-model",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Sunny."}, "logprobs": None}
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
CHAT_CHUNKS: list[Json] = [
    {
        **CHAT,
        "object": "chat.completion.chunk",
        "usage": None,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}],
    }
    for text, reason in (("", None), ("Sun", None), ("ny.", "stop"))
]
CHATTED: Json = {
    "span_kind": "llm",
    "model": "a-model",
    "input_tokens": 12,
    "output_tokens": 3,
    "finish_reason": "stop",
    "completion_text": "Sunny.",
}


def groq_client(url: str, is_async: bool) -> Any:
    import groq

    return (groq.AsyncGroq if is_async else groq.Groq)(base_url=url, api_key="k", max_retries=0)


GROQ = Api(
    "groq chat",
    groq_client,
    lambda client: client.chat.completions.create(model="a-model", messages=MESSAGES),
    whole(CHAT),
    {**CHATTED, "provider": "groq"},
    lambda client: client.chat.completions.create(model="a-model", messages=MESSAGES, stream=True),
    events(
        *CHAT_CHUNKS[:-1],
        {**CHAT_CHUNKS[-1], "x_groq": {"id": "r", "usage": CHAT["usage"]}},
        done=True,
    ),
)


def mistral_client(url: str, is_async: bool) -> Any:
    home: Any = import_module("mistralai.client")
    if not hasattr(home, "Mistral"):  # before mistralai 2
        home = import_module("mistralai")
    client = home.Mistral(api_key="k", server_url=url)
    return _Async(client) if is_async else client


class _Async:
    """Mistral has one client for both: its asynchronous methods have names of their own."""

    def __init__(self, client: Any) -> None:
        self.client = client


def _mistral(client: Any, name: str, **request: Any) -> Any:
    if isinstance(client, _Async):
        return getattr(client.client.chat, f"{name}_async")(**request)
    return getattr(client.chat, name)(**request)


MISTRAL = Api(
    "mistral chat",
    mistral_client,
    lambda client: _mistral(client, "complete", model="a-model", messages=MESSAGES),
    whole({**CHAT, "usage": {**CHAT["usage"], "prompt_audio_seconds": 3}}),
    {**CHATTED, "provider": "mistral_ai"},
    lambda client: _mistral(client, "stream", model="a-model", messages=MESSAGES),
    events(*CHAT_CHUNKS[:-1], {**CHAT_CHUNKS[-1], "usage": {**CHAT["usage"], "prompt_audio_seconds": 3}}, done=True),
    usage={"audio_seconds": 3},
)
