"""OpenAI's APIs."""

from __future__ import annotations

from typing import Any

from tests.providers.apis.api import MESSAGES, QUESTION, Api
from tests.providers.endpoint import Json, events, whole


def openai_client(url: str, is_async: bool) -> Any:
    import openai

    kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    return kind(base_url=f"{url}/v1", api_key="k", max_retries=0)


RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5-mini-2025-08-07",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "temperature": 1,
    "top_p": 1,
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "c",
            "name": "weather",
            "arguments": '{"city": "Bern"}',
            "status": "completed",
        },
    ],
    "usage": {
        "input_tokens": 30,
        "input_tokens_details": {
            "cached_tokens": 10,
            "cache_write_tokens": 5,
            "cache_write_tokens_details": {"ttl_30m_tokens": 5, "ttl_12h_tokens": 0},
        },
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 50,
    },
}
RESPONSES = Api(
    "openai responses",
    openai_client,
    lambda client: client.responses.create(model="gpt-5-mini", input=QUESTION, instructions="Be brief."),
    whole(RESPONSE),
    {
        "span_kind": "llm",
        "provider": "openai",
        "model": "gpt-5-mini-2025-08-07",
        "input_tokens": 30,
        "output_tokens": 20,
        "cached_tokens": 10,
        "reasoning_tokens": 8,
        "finish_reason": "tool_calls",
        "completion_text": "Let me look.",
        "tools_used": ["weather"],
        "tool_call_args": '{"weather":{"city":"Bern"}}',
        "system_prompt": "Be brief.",
    },
    lambda client: client.responses.create(model="gpt-5-mini", input=QUESTION, stream=True),
    events(
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None},
        },
        {
            "type": "response.output_item.added",
            "sequence_number": 1,
            "output_index": 0,
            "item": {**RESPONSE["output"][1], "content": []},
        },
        {
            "type": "response.content_part.added",
            "sequence_number": 2,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {
            "type": "response.output_text.delta",
            "sequence_number": 3,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Let me look.",
            "logprobs": [],
        },
        {"type": "response.completed", "sequence_number": 4, "response": RESPONSE},
        named=True,
    ),
    {"system_prompt": None},
    usage={"gen_ai.usage.cache_write.input_tokens": 5, "cache_write_30m_tokens": 5},
)
OPENAI_CHAT: Json = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5-mini-2025-08-07",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [
                    {
                        "id": "t",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
                    }
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 10},
        "completion_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 50,
    },
}


def _chat_chunk(finish: str | None = None, **delta: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {**OPENAI_CHAT, "object": "chat.completion.chunk", "choices": [choice], "usage": None}


_TOOL: Json = OPENAI_CHAT["choices"][0]["message"]["tool_calls"][0]
CHATS = Api(
    "openai chat",
    openai_client,
    lambda client: client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "system", "content": "Be brief."}, *MESSAGES]
    ),
    whole(OPENAI_CHAT),
    RESPONSES.event,
    lambda client: client.chat.completions.create(
        model="gpt-5-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ),
    events(
        _chat_chunk(role="assistant", content=""),
        _chat_chunk(content="Let me "),
        _chat_chunk(content="look."),
        _chat_chunk(tool_calls=[{"index": 0, **_TOOL}]),
        _chat_chunk("tool_calls"),
        {**_chat_chunk(), "choices": [], "usage": OPENAI_CHAT["usage"]},
        done=True,
    ),
    {"system_prompt": None},
)
COMPLETION: Json = {
    "id": "cmpl_1",
    "object": "text_completion",
    "created": 1,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"text": "Sunny.", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
COMPLETIONS = Api(
    "openai completions",
    openai_client,
    lambda client: client.completions.create(model="gpt-3.5-turbo-instruct", prompt=QUESTION),
    whole(COMPLETION),
    {
        "span_kind": "llm",
        "operation": "text_completion",
        "provider": "openai",
        "model": "gpt-3.5-turbo-instruct",
        "input_tokens": 7,
        "output_tokens": 2,
        "finish_reason": "stop",
        "completion_text": "Sunny.",
    },
    lambda client: client.completions.create(model="gpt-3.5-turbo-instruct", prompt=QUESTION, stream=True),
    events({**COMPLETION, "usage": None}, {**COMPLETION, "choices": []}, done=True),
)
EMBEDDINGS = Api(
    "openai embeddings",
    openai_client,
    lambda client: client.embeddings.create(model="text-embedding-3-small", input=[QUESTION, "Again?"]),
    whole(
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        }
    ),
    {
        "span_kind": "embedding",
        "operation": "embeddings",
        "provider": "openai",
        "model": "text-embedding-3-small",
        "input_tokens": 9,
        "output_tokens": 0,
    },
)
IMAGES = Api(
    "openai images",
    openai_client,
    lambda client: client.images.generate(model="gpt-image-1", prompt=QUESTION),
    whole(
        {
            "created": 1,
            "data": [{"b64_json": "AAAA"}],
            "usage": {
                "input_tokens": 5,
                "output_tokens": 100,
                "total_tokens": 105,
                "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
                "output_tokens_details": {"text_tokens": 0, "image_tokens": 100},
            },
        }
    ),
    {"span_kind": "image_gen", "provider": "openai", "model": "gpt-image-1", "input_tokens": 5, "output_tokens": 100},
    usage={"gen_ai.usage.text.input_tokens": 5, "gen_ai.usage.image.output_tokens": 100},
)
MODERATIONS = Api(
    "openai moderations",
    openai_client,
    lambda client: client.moderations.create(model="omni-moderation-latest", input=QUESTION),
    whole({"id": "m", "model": "omni-moderation-latest", "results": []}),
    {"span_kind": "moderation", "provider": "openai", "model": "omni-moderation-latest"},
)
TRANSCRIPTIONS = Api(
    "openai transcriptions",
    openai_client,
    lambda client: client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", b"\0"), prompt=QUESTION
    ),
    whole(
        {
            "text": "It is sunny.",
            "usage": {
                "type": "tokens",
                "input_tokens": 16,
                "input_token_details": {"text_tokens": 2, "audio_tokens": 14},
                "output_tokens": 4,
                "total_tokens": 20,
            },
        }
    ),
    {
        "span_kind": "audio",
        "provider": "openai",
        "model": "gpt-4o-transcribe",
        "input_tokens": 16,
        "output_tokens": 4,
        "completion_text": "It is sunny.",
        "cost_usd": 0.000129,  # sound has prices of its own
    },
    usage={"gen_ai.usage.text.input_tokens": 2, "gen_ai.usage.audio.input_tokens": 14},
)
