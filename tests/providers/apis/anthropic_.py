"""Anthropic's messages."""

from __future__ import annotations

from typing import Any

from tests.providers.apis.api import MESSAGES, Api
from tests.providers.endpoint import Json, events, whole


def anthropic_client(url: str, is_async: bool) -> Any:
    import anthropic

    return (anthropic.AsyncAnthropic if is_async else anthropic.Anthropic)(base_url=url, api_key="k", max_retries=0)


USAGE: Json = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 12},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
}
WRITTEN: Json = {
    "gen_ai.usage.cache_write.input_tokens": 20,
    "cache_write_5m_tokens": 15,
    "cache_write_1h_tokens": 5,
}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Bern"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}
MESSAGE_EVENTS: list[Json] = [
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me look."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t", "name": "weather", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"city": "Bern"}'},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 30},
    },
    {"type": "message_stop"},
]
SAID: Json = {
    "span_kind": "llm",
    "input_tokens": 130,
    "output_tokens": 30,
    "cached_tokens": 100,
    "finish_reason": "tool_use",
    "completion_text": "Let me look.",
    "tools_used": ["weather"],
    "tool_call_args": '{"weather":{"city":"Bern"}}',
}
ANTHROPIC = Api(
    "anthropic messages",
    anthropic_client,
    lambda client: client.messages.create(
        model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, system="Be brief."
    ),
    whole(MESSAGE),
    {
        **SAID,
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "reasoning_tokens": 12,
        "system_prompt": "Be brief.",
    },
    lambda client: client.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, stream=True),
    events(*MESSAGE_EVENTS, named=True),
    {"system_prompt": None},
    usage={**WRITTEN, "web_search_requests": 2},
)
