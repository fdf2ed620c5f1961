"""Bedrock's APIs."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.apis.anthropic_ import MESSAGE, MESSAGE_EVENTS, SAID, WRITTEN
from tests.providers.apis.api import MESSAGES, QUESTION, Api
from tests.providers.endpoint import Json, chunk, frames, whole


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
