"""Messages of every provider in OpenTelemetry's format, as the SDKs are given them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless.exporters.otlp._messages import input_of, message_of


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


CALL = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}
RESULT = {"type": "tool_call_response", "id": "c1", "response": "21"}
ARGUMENTS = '{"city": "Paris"}'

MESSAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "a text": ({"role": "user", "content": "Hi"}, {"role": "user", "parts": [text("Hi")]}),
    "OpenAI, parts": (
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "user", "parts": [text("Hi"), {"type": "image_url", "image_url": {"url": "u"}}]},
    ),
    "OpenAI, developer": (
        {"role": "developer", "content": "Be brief"},
        {"role": "system", "parts": [text("Be brief")]},
    ),
    "OpenAI, a tool call": (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}],
        },
        {"role": "assistant", "parts": [CALL]},
    ),
    "OpenAI, the result of a tool": (
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
        {"role": "tool", "parts": [RESULT]},
    ),
    "OpenAI Responses, a text": (
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"role": "user", "parts": [text("Hi")]},
    ),
    "OpenAI Responses, a tool call": (
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ARGUMENTS},
        {"role": "assistant", "parts": [CALL]},
    ),
    "OpenAI Responses, the result of a tool": (
        {"type": "function_call_output", "call_id": "c1", "output": "21"},
        {"role": "tool", "parts": [RESULT]},
    ),
    "Anthropic, thinking and a tool call": (
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
            ],
        },
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm"}, CALL]},
    ),
    "Anthropic, the result of a tool": (
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "21"}]},
        {"role": "user", "parts": [RESULT]},
    ),
    "Bedrock": (
        {
            "role": "assistant",
            "content": [
                {"text": "Hi"},
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Paris"}}},
                {"toolResult": {"toolUseId": "c1", "content": "21"}},
            ],
        },
        {"role": "assistant", "parts": [text("Hi"), CALL, RESULT]},
    ),
    "Google": (
        {
            "role": "model",
            "parts": [
                {"text": "Hi"},
                {"function_call": {"call_id": "c1", "name": "weather", "args": {"city": "Paris"}}},
                {"function_response": {"id": "c1", "response": "21"}},
            ],
        },
        {"role": "assistant", "parts": [text("Hi"), CALL, RESULT]},
    ),
    "Cohere": ({"role": "CHATBOT", "content": "Hi"}, {"role": "assistant", "parts": [text("Hi")]}),
    "a bare text": ("Hi", {"role": "user", "parts": [text("Hi")]}),
    "nothing": ({"role": "user", "content": ""}, {"role": "user", "parts": []}),
    "a part of an unknown type": (
        {"role": "user", "content": [{"type": "audio", "data": "x"}]},
        {"role": "user", "parts": [{"type": "audio", "data": "x"}]},
    ),
    "arguments that are cut": (
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"ci'}}]},
        {"role": "assistant", "parts": [{**CALL, "arguments": '{"ci'}]},
    ),
}


@pytest.mark.parametrize(("given", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_has_a_role_and_parts(given: Any, expected: dict[str, Any]) -> None:
    """Messages of every format become a role, and parts with a type."""
    assert message_of(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('[{"role": "user", "content": "Hi"}]', [{"role": "user", "parts": [text("Hi")]}]),
        ("[REDACTED]", [{"role": "user", "parts": [text("[REDACTED]")]}]),
        ('[{"role": "user", "conte... [cut]', [{"role": "user", "parts": [text('[{"role": "user", "conte... [cut]')]}]),
        ("[]", [{"role": "user", "parts": [text("[]")]}]),
    ],
)
def test_messages_of_which_only_the_text_is_left(given: str, expected: list[Any]) -> None:
    """They are read again if they are whole."""
    assert input_of(given) == expected


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["role", "content", "parts", "type", "text", "tool_calls", "function", "toolUse", "tool_use"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_message_has_a_role_and_parts(given: Any) -> None:
    """No provider's format makes a span fail."""
    message = message_of(given)
    assert isinstance(message["role"], str)
    assert all(isinstance(part["type"], str) for part in message["parts"])
    assert json.dumps(message)
