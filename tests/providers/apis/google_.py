"""Google's APIs: Gemini, on its own and on Vertex AI."""

from __future__ import annotations

from typing import Any

from tests.providers.apis.api import QUESTION, Api
from tests.providers.endpoint import Json, events, whole


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
