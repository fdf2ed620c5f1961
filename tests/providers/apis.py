"""Every API that is traced: how its SDK is called, what the provider answers, and what the event has to have."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from .endpoint import Json, Reply, chunk, events, frames, whole

QUESTION = "What is the weather in Bern?"
MESSAGES = [{"role": "user", "content": QUESTION}]


@dataclass
class Api:
    """`connect(url, is_async)` makes a client, `ask` and `stream` call it: what they return is awaited if it can be.

    `pieces` reads the text of one piece of a stream, `answer` and `streamed` are what the provider sends. `event` has
    the fields of the event of an answer, `later` those that a stream has otherwise, `usage` the further numbers in its
    metadata. `is_entered`: whether `with` begins a stream.
    """

    name: str
    connect: Callable[[str, bool], Any]
    ask: Callable[[Any], Any]
    answer: Reply
    event: Json
    stream: Callable[[Any], Any] | None = None
    streamed: Reply | None = None
    later: Json = field(default_factory=dict)
    is_entered: bool = False
    prompt: str = QUESTION
    usage: Json = field(default_factory=dict)

    def reply(self, path: str, request: Json) -> Reply:
        """Return what the provider answers."""
        is_stream = request.get("stream") or "stream" in path.lower()
        return self.streamed if is_stream and self.streamed is not None else self.answer


# ---------------------------------------------------------------------- OpenAI


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


# ---------------------------------------------------------------------- Anthropic


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

# ---------------------------------------------------------------------- like OpenAI

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

# ---------------------------------------------------------------------- Cohere


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

# ---------------------------------------------------------------------- Google


def google_client(url: str, is_async: bool) -> Any:
    from google import genai

    client = genai.Client(api_key="k", http_options={"base_url": url})
    return client.aio if is_async else client


def vertex_client(url: str, is_async: bool) -> Any:
    from google import genai

    client = genai.Client(vertexai=True, api_key="k", http_options={"base_url": url})
    return client.aio if is_async else client


GEMINI: Json = {
    "candidates": [
        {
            "index": 0,
            "finishReason": "STOP",
            "content": {"role": "model", "parts": [{"text": "Thinking.", "thought": True}, {"text": "Sunny."}]},
        }
    ],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 11,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 6,
        "totalTokenCount": 20,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "IMAGE", "tokenCount": 3}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
    },
}
GOOGLE = Api(
    "google generate_content",
    google_client,
    lambda client: client.models.generate_content(
        model="gemini-2.5-flash", contents=QUESTION, config={"system_instruction": "Be brief."}
    ),
    whole(GEMINI),
    {
        "span_kind": "llm",
        "provider": "gcp.gemini",
        "operation": "generate_content",
        "model": "gemini-2.5-flash",
        "input_tokens": 11,
        "output_tokens": 9,
        "cached_tokens": 4,
        "reasoning_tokens": 6,
        "finish_reason": "STOP",
        "completion_text": "Sunny.",
        "system_prompt": "Be brief.",
    },
    lambda client: client.models.generate_content_stream(model="gemini-2.5-flash", contents=QUESTION),
    events(GEMINI),
    {"system_prompt": None},
    usage={
        "gen_ai.usage.text.input_tokens": 8,
        "gen_ai.usage.image.input_tokens": 3,
        "gen_ai.usage.text.cache_read.input_tokens": 4,
        "gen_ai.usage.text.output_tokens": 3,
    },
)
GOOGLE_EMBED = Api(
    "google embed_content",
    google_client,
    lambda client: client.models.embed_content(model="gemini-embedding-001", contents=QUESTION),
    whole({"embeddings": [{"values": [0.1]}]}),
    {"span_kind": "embedding", "provider": "gcp.gemini", "model": "gemini-embedding-001", "input_tokens": None},
)

GOOGLE_IMAGES = Api(
    "google images",
    vertex_client,
    lambda client: client.models.generate_images(model="imagen-4.0-generate-001", prompt=QUESTION),
    whole({"predictions": [{"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}]}),
    {"span_kind": "image_gen", "provider": "gcp.vertex_ai", "model": "imagen-4.0-generate-001", "input_tokens": None},
    usage={"images": 1},
)

INTERACTION: Json = {
    "id": "i",
    "object": "interaction",
    "model": "gemini-2.5-flash",
    "status": "requires_action",
    "steps": [
        {"type": "thought", "signature": "AAAA"},
        {"type": "model_output", "content": [{"type": "text", "text": "Let me look."}]},
        {"type": "function_call", "id": "f", "name": "weather", "arguments": {"city": "Bern"}},
    ],
    "usage": {
        "total_input_tokens": 11,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 8}, {"modality": "image", "tokens": 3}],
        "total_cached_tokens": 4,
        "cached_tokens_by_modality": [{"modality": "text", "tokens": 4}],
        "total_output_tokens": 3,
        "output_tokens_by_modality": [{"modality": "text", "tokens": 3}],
        "total_thought_tokens": 6,
        "total_tool_use_tokens": 2,
        "total_tokens": 22,
    },
}
_INTERACTING: Json = {"id": "i", "object": "interaction", "model": "gemini-2.5-flash"}
GOOGLE_INTERACTIONS = Api(
    "google interactions",
    google_client,
    lambda client: client.interactions.create(model="gemini-2.5-flash", input=QUESTION, system_instruction="Be brief."),
    whole(INTERACTION),
    {
        "span_kind": "llm",
        "provider": "gcp.gemini",
        "operation": "generate_content",
        "model": "gemini-2.5-flash",
        "input_tokens": 13,
        "output_tokens": 9,
        "cached_tokens": 4,
        "reasoning_tokens": 6,
        "finish_reason": "requires_action",
        "completion_text": "Let me look.",
        "tools_used": ["weather"],
        "tool_call_args": '{"weather":{"city":"Bern"}}',
        "system_prompt": "Be brief.",
    },
    lambda client: client.interactions.create(model="gemini-2.5-flash", input=QUESTION, stream=True),
    events(
        {"event_type": "interaction.created", "interaction": {**_INTERACTING, "status": "in_progress"}},
        {"event_type": "interaction.status_update", "interaction_id": "i", "status": "in_progress"},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.stop", "index": 0},
        {"event_type": "step.start", "index": 1, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "Let me "}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "look."}},
        {"event_type": "step.stop", "index": 1},
        {
            "event_type": "step.start",
            "index": 2,
            "step": {"type": "function_call", "id": "f", "name": "weather", "arguments": {}},
        },
        {
            "event_type": "step.delta",
            "index": 2,
            "delta": {"type": "arguments_delta", "arguments": '{"city": "Bern"}'},
        },
        {"event_type": "step.stop", "index": 2},
        {
            "event_type": "interaction.completed",
            "interaction": {**_INTERACTING, "status": "requires_action", "usage": INTERACTION["usage"]},
        },
        done=True,
    ),
    {"system_prompt": None},
    usage={
        "gen_ai.usage.text.input_tokens": 8,
        "gen_ai.usage.image.input_tokens": 3,
        "gen_ai.usage.text.cache_read.input_tokens": 4,
        "gen_ai.usage.text.output_tokens": 3,
    },
)

# ---------------------------------------------------------------------- Bedrock


def bedrock_client(url: str, is_async: bool) -> Any:
    given: dict[str, Any] = {
        "region_name": "eu-central-1",
        "endpoint_url": url,
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
    }
    if is_async:
        from aiobotocore.session import get_session

        return get_session().create_client("bedrock-runtime", **given)
    import boto3

    return boto3.client("bedrock-runtime", **given)


CONVERSED: Json = {
    "metrics": {"latencyMs": 1},
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "Let me look."},
                {"toolUse": {"toolUseId": "t", "name": "weather", "input": {"city": "Bern"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 10,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 20,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 15}, {"ttl": "1h", "inputTokens": 5}],
        "outputTokens": 30,
        "totalTokens": 160,
    },
}
ASKED = [{"role": "user", "content": [{"text": QUESTION}]}]
NOVA = "amazon.nova-lite-v1:0"
CONVERSE = Api(
    "bedrock converse",
    bedrock_client,
    lambda client: client.converse(modelId=NOVA, messages=ASKED, system=[{"text": "Be brief."}]),
    whole(CONVERSED),
    {**SAID, "provider": "aws.bedrock", "model": NOVA, "system_prompt": "Be brief."},
    lambda client: client.converse_stream(modelId=NOVA, messages=ASKED),
    frames(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Let me look."}}),
        (
            "contentBlockStart",
            {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "weather"}}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"city": "Bern"}'}}}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": CONVERSED["usage"], "metrics": {"latencyMs": 1}}),
    ),
    {"system_prompt": None},
    usage=WRITTEN,
)
CLAUDE = "anthropic.claude-sonnet-4-5-v1:0"
INVOKE = Api(
    "bedrock invoke_model",
    bedrock_client,
    lambda client: client.invoke_model(
        modelId=CLAUDE, body=json.dumps({"messages": MESSAGES, "system": "Be brief.", "max_tokens": 9})
    ),
    whole(MESSAGE),
    {**SAID, "provider": "aws.bedrock", "system_prompt": "Be brief."},
    lambda client: client.invoke_model_with_response_stream(
        modelId=CLAUDE, body=json.dumps({"messages": MESSAGES, "max_tokens": 9})
    ),
    frames(*map(chunk, MESSAGE_EVENTS)),
    {"system_prompt": None},
    usage={**WRITTEN, "web_search_requests": 2},
)

CANVAS = "amazon.nova-canvas-v1:0"
BEDROCK_IMAGES = Api(
    "bedrock images",
    bedrock_client,
    lambda client: client.invoke_model(
        modelId=CANVAS,
        body=json.dumps(
            {
                "taskType": "TEXT_IMAGE",
                "textToImageParams": {"text": QUESTION, "negativeText": "rain"},
                "imageGenerationConfig": {"numberOfImages": 2},
            }
        ),
    ),
    whole({"images": ["AAAA", "AAAA"]}),
    {"span_kind": "image_gen", "provider": "aws.bedrock", "model": CANVAS, "input_tokens": None},
    usage={"images": 2},
)

APIS = {
    api.name: api
    for api in (
        *(CHATS, RESPONSES, COMPLETIONS, EMBEDDINGS, IMAGES, MODERATIONS, TRANSCRIPTIONS, ANTHROPIC, GROQ, MISTRAL),
        *(COHERE, RERANK, GOOGLE, GOOGLE_EMBED, GOOGLE_IMAGES, GOOGLE_INTERACTIONS, CONVERSE, INVOKE),
        BEDROCK_IMAGES,
    )
}
