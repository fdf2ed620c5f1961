"""Images by Bedrock's InvokeModel: how requests are told, and what answers have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless.providers.bedrock import _images, _invoke

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
NAMES = st.sampled_from(
    ["taskType", "text_prompts", "text", "prompt", "images", "artifacts", "finish_reasons", "error"]
)
BODIES = ANYTHING | st.dictionaries(NAMES, ANYTHING, max_size=5)


def asked(model: str, body: Any) -> tuple[str, list[Any]]:
    """Return the kind of a request, and its prompts."""
    request = _invoke.OPERATIONS["InvokeModel"]({"modelId": model, "body": json.dumps(body)})
    return request.endpoint.kind, [message["content"] for message in request.messages]


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("stability.stable-image-core-v1:1", {"prompt": "a panda"}, ("image_gen", ["a panda"])),
        ("us.stability.stable-outpaint-v1:0", {"image": "AAAA", "left": 9}, ("image_gen", [])),
        (
            "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
            {"text_prompts": [{"text": "a panda", "weight": 1}, {"text": "fog", "weight": -1}]},
            ("image_gen", ["a panda", "fog"]),
        ),
        (
            "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
            {"taskType": "INPAINTING", "inPaintingParams": {"text": "a panda", "image": "AAAA", "maskPrompt": "sky"}},
            ("image_gen", ["a panda"]),
        ),
        (
            "amazon.nova-canvas-v1:0",
            {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {}},
            ("image_gen", []),
        ),
        ("amazon.titan-image-generator-v2:0", None, ("image_gen", [])),
        ("amazon.titan-embed-image-v1", {"inputText": "a panda"}, ("embedding", ["a panda"])),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {}},
            ("embedding", []),
        ),
        ("meta.llama3-8b-instruct-v1:0", {"prompt": "a panda"}, ("llm", ["a panda"])),
    ],
)
def test_what_is_asked(model: str, body: Any, expected: tuple[str, list[str]]) -> None:
    """By the model's name or the body: images, embeddings or text, and the prompts."""
    assert asked(model, body) == expected


@pytest.mark.parametrize(
    ("body", "images", "reason", "error"),
    [
        ({"images": ["AAAA"], "seeds": [1], "finish_reasons": [None]}, 1, "", ""),
        ({"images": ["AAAA"], "error": None}, 1, "", ""),
        ({"images": ["AAAA"], "error": "1 image is blocked"}, 1, "1 image is blocked", ""),
        ({"seeds": [], "finish_reasons": ["Filter reason: prompt"]}, 0, *["Filter reason: prompt"] * 2),
        ({"images": [], "error": "blocked"}, 0, "blocked", "blocked"),
        ({"result": "success", "artifacts": [{"base64": "AAAA", "finishReason": "SUCCESS"}]}, 1, "SUCCESS", ""),
    ],
)
def test_what_is_answered(body: Any, images: int, reason: str, error: str) -> None:
    """The number of images; an answer without one is an error, with its reason."""
    answer = _images.read(body)
    assert (answer.usage.get("images", 0), answer.finish_reason, answer.error) == (images, reason, error)


@given(BODIES)
def test_any_body_can_be_read(body: Any) -> None:
    """What is not as the documentation says does not fail."""
    assert all(isinstance(prompt, str) for prompt in _images.prompts(body))
    assert asked("x", body)[0] in ("llm", "image_gen")
    assert _images.read(body).usage.get("images", 1) >= 1
