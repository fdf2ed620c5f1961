"""The model endpoint, as OpenAI's own client sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam
from zespan_serverless_dev.emulator.model import USAGE, ModelEndpoint

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
TOOLS: list[ChatCompletionToolParam] = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
TEXT = "Hello, serverless world!"


@pytest.fixture
def endpoint() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as endpoint:
        yield endpoint


@pytest.fixture
def client(endpoint: ModelEndpoint) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=endpoint.url, api_key="none", max_retries=0) as client:
        yield client


def test_a_completion_has_text_usage_and_model(client: openai.OpenAI, endpoint: ModelEndpoint) -> None:
    """A plain completion has text, usage and the model asked for; the request is kept."""
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, extra_headers={"X-Who": "me"})
    assert completion.model == "gpt-4o-mini"
    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == USAGE["total_tokens"]
    (request,) = endpoint.requests
    assert (request.path, request.body["messages"]) == ("/v1/chat/completions", MESSAGES)
    assert request.headers["x-who"] == "me"


def test_each_answer_has_its_own_id(client: openai.OpenAI) -> None:
    """Two answers have different ids."""
    first, second = (client.chat.completions.create(model="m", messages=MESSAGES) for _ in range(2))
    assert first.id != second.id


def test_stream_without_usage(client: openai.OpenAI) -> None:
    """A stream that did not ask for usage has none, and every chunk has a choice."""
    chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


def test_stream_with_usage(client: openai.OpenAI) -> None:
    """Usage that was asked for comes in one last chunk without choices, and is null in the others."""
    *chunks, last = client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == USAGE["completion_tokens"]
    assert all(chunk.choices and chunk.usage is None and "usage" in chunk.model_fields_set for chunk in chunks)


def test_an_abandoned_stream_blocks_no_other_request(client: openai.OpenAI) -> None:
    """A stream that is not read to its end does not delay other requests."""
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content == TEXT


def test_a_request_with_tools_gets_a_call_then_text(client: openai.OpenAI) -> None:
    """A request with tools gets a call of the first; the one that brings the result gets text."""
    asked = client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS).choices[0]
    assert (asked.finish_reason, asked.message.content) == ("tool_calls", None)
    assert asked.message.tool_calls is not None
    (call,) = asked.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Paris"}')
    conversation: list[ChatCompletionMessageParam] = [
        *MESSAGES,
        {
            "role": "assistant",
            "tool_calls": [{"id": call.id, "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    answered = client.chat.completions.create(model="m", messages=conversation, tools=TOOLS).choices[0]
    assert (answered.finish_reason, answered.message.content) == ("stop", TEXT)


def test_streamed_tool_call(client: openai.OpenAI) -> None:
    """In a stream the call's id and name come first, its arguments in pieces."""
    chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS, stream=True))
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    functions = [call.function for call in calls if call.function is not None]
    assert calls[0].id is not None
    assert functions[0].name == "weather"
    assert len(functions) > 2
    assert "".join(function.arguments or "" for function in functions) == '{"city": "Paris"}'
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_is_asked_for_by_model_or_header(
    client: openai.OpenAI, status: int, error: type[openai.APIStatusError], stream: bool
) -> None:
    """An error is made by the model's name, or by a header with any model."""
    with pytest.raises(error, match=f"made-up error {status}"):
        client.chat.completions.create(model=f"error-{status}", messages=MESSAGES, stream=stream)
    with pytest.raises(error, match=f"made-up error {status}"):
        client.chat.completions.create(
            model="m", messages=MESSAGES, stream=stream, extra_headers={"x-error": str(status)}
        )


def test_an_unknown_path_is_a_404(client: openai.OpenAI) -> None:
    """An unknown path gets a 404, not a chat completion."""
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="m", input="text", encoding_format="float")


def test_stream_that_breaks_off(client: openai.OpenAI) -> None:
    """A stream told to fail after two chunks brings two, then an error."""
    stream = client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True, extra_headers={"x-stream-fail-after": "2"}
    )
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError):
        seen.extend(stream)
    assert len(seen) == 2


@pytest.mark.slow
def test_latency_holds_for_every_answer_or_one_request(client: openai.OpenAI, endpoint: ModelEndpoint) -> None:
    """The endpoint's latency holds for every answer, a request's own for that one."""

    def seconds(**headers: str) -> float:
        start = time.monotonic()
        client.chat.completions.create(model="m", messages=MESSAGES, extra_headers=headers)
        return time.monotonic() - start

    endpoint.latency_ms = 1000
    assert seconds() >= 1
    assert seconds(**{"x-latency-ms": "0"}) < 1
