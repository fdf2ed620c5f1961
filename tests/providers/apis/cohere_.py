"""Cohere's APIs."""

from __future__ import annotations

from typing import Any

from tests.providers.apis.api import MESSAGES, QUESTION, Api
from tests.providers.endpoint import Json, events, whole


def cohere_client(url: str, is_async: bool) -> Any:
    import cohere

    return (cohere.AsyncClientV2 if is_async else cohere.ClientV2)(api_key="k", base_url=url)


COHERE_USAGE: Json = {
    "billed_units": {"input_tokens": 5, "output_tokens": 2},
    "tokens": {"input_tokens": 70, "output_tokens": 2},
}
COHERE = Api(
    "cohere chat",
    cohere_client,
    lambda client: client.chat(model="command-a", messages=MESSAGES),
    whole(
        {
            "id": "c",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Sunny."}]},
            "usage": COHERE_USAGE,
        }
    ),
    {
        "span_kind": "llm",
        "provider": "cohere",
        "model": "command-a",
        "input_tokens": 5,
        "output_tokens": 2,
        "finish_reason": "COMPLETE",
        "completion_text": "Sunny.",
    },
    lambda client: client.chat_stream(model="command-a", messages=MESSAGES),
    events(
        {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Sunny."}}}},
        {"type": "message-end", "id": "c", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
        named=True,
    ),
)
RERANK = Api(
    "cohere rerank",
    cohere_client,
    lambda client: client.rerank(model="rerank-v3.5", query=QUESTION, documents=["a", "b"]),
    whole(
        {"id": "r", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}}
    ),
    {"span_kind": "rerank", "provider": "cohere", "model": "rerank-v3.5"},
    usage={"search_units": 1},
)
