"""Interactions of Google's SDK: one event for each request, whichever way the answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.apis.google_ import INTERACTION, google_client
from tests.providers.endpoint import Json, Reply, events, serving, whole
from tests.providers.test_apis import IGNORED
from tests.providers.user import close
from zespan_serverless import flush, testing, zespan_lambda

pytestmark = [
    pytest.mark.slow,
    *(pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED),
]

GIVEN: Json = {"model": "gemini-2.5-flash", "input": "Hi"}
UNFINISHED: Json = {**INTERACTION, "status": "requires_continuation", "continuation_token": "t"}
DONE: Json = {**INTERACTION, "id": "j", "status": "completed"}


def ended(interaction: Json) -> Json:
    """Return the last event of a stream."""
    return {"event_type": "interaction.completed", "interaction": {**interaction, "object": "interaction"}}


STREAMED = events(
    {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
    {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Let me look."}},
    ended({**DONE, "steps": []}),
)


def traced(reply: Callable[[str, Json], Reply], use: Callable[[Any], Any], is_async: bool = False) -> tuple[Any, Any]:
    """Return what `use(client)` returns in a Lambda function, and its model calls."""

    async def work(url: str) -> Any:
        client = google_client(url, True)
        try:
            return await use(client)
        finally:
            await close(client)
            await client.interactions.sdk_configuration.async_client.aclose()

    @zespan_lambda
    def handler(event: str, context: object) -> Any:
        return asyncio.run(work(event)) if is_async else use(google_client(event, False))

    with serving(reply) as endpoint, testing.recording() as recorded:
        result = handler(endpoint.url, testing.LambdaContext())
        flush(5)
    return result, [event for event in recorded if event["span_kind"] in ("llm", "agent")]


def hops(path: str, request: Json) -> Reply:
    """Return an answer, and then, with a token, the rest of it."""
    interaction = DONE if request.get("continuation_token") else UNFINISHED
    return events(ended({**interaction, "steps": []}), done=True) if request.get("stream") else whole(interaction)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_continued_is_one_event_for_each_request(stream: bool) -> None:
    """Each is billed; the user gets one answer."""

    def use(client: Any) -> Any:
        made = client.interactions.create(**GIVEN, stream=stream)
        return [one.interaction.status for one in made] if stream else made.usage.total_output_tokens

    result, calls = traced(hops, use)
    assert result == (["requires_continuation", "completed"] if stream else 6)
    assert [call["finish_reason"] for call in calls] == ["requires_continuation", "completed"]
    assert [call["output_tokens"] for call in calls] == [9, 9]


@pytest.mark.parametrize("stream", [False, True])
def test_a_raw_response_is_one_event(stream: bool) -> None:
    """Parsed twice it is the same object, as without us."""

    def use(client: Any) -> Any:
        response = client.interactions.with_raw_response.create(**GIVEN, stream=stream)
        parsed = response.parse()
        assert response.parse() is parsed
        return len(list(parsed)) if stream else parsed.status

    result, (call,) = traced(lambda path, request: STREAMED if request.get("stream") else whole(DONE), use)
    assert result == (3 if stream else "completed")
    assert (call["completion_text"], call["output_tokens"], call["stream"]) == ("Let me look.", 9, stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_that_is_streamed_is_one_event(stream: bool) -> None:
    """What the SDK itself has put around `parse` stays there."""

    async def use(client: Any) -> Any:
        async with client.interactions.with_streaming_response.create(**GIVEN, stream=stream) as response:
            theirs = response.parse
            parsed = await theirs()
            assert vars(response)["parse"] is theirs
            assert await response.parse() is parsed
            return len([one async for one in parsed]) if stream else parsed.status

    reply = lambda path, request: STREAMED if request.get("stream") else whole(DONE)  # noqa: E731
    result, (call,) = traced(reply, use, is_async=True)
    assert result == (3 if stream else "completed")
    assert (call["completion_text"], call["output_tokens"]) == ("Let me look.", 9)


@pytest.mark.parametrize(
    ("interaction", "expected"),
    [
        ({"status": "failed", "errors": [{"message": "too busy"}]}, {"status": "error", "error_message": "too busy"}),
        ({"status": "in_progress", "usage": None, "steps": []}, {"finish_reason": "in_progress", "input_tokens": None}),
        ({"status": "cancelled"}, {"status": "success", "finish_reason": "cancelled"}),
    ],
)
def test_the_status_of_an_interaction(interaction: Json, expected: Json) -> None:
    """One that has failed is an error although HTTP's status is 200; one in the background has no tokens yet."""
    result, (call,) = traced(
        lambda *_: whole({**INTERACTION, **interaction}), lambda client: client.interactions.create(**GIVEN).status
    )
    assert result == interaction["status"]
    assert {name: call[name] for name in expected} == expected


def test_an_error_in_a_stream_is_an_error() -> None:
    """The SDK gives it as an event."""
    sent = events({"event_type": "error", "error": {"message": "too busy", "code": "busy"}})
    result, (call,) = traced(
        lambda *_: sent, lambda client: [one.event_type for one in client.interactions.create(**GIVEN, stream=True)]
    )
    assert (result, call["status"], call["error_message"]) == (["error"], "error", "too busy")


@pytest.mark.parametrize("as_request", [False, True])
def test_an_agent_is_an_event_of_its_kind(as_request: bool) -> None:
    """By its name, however the request is written."""
    body = {"agent": "deep-research", "input": [{"type": "text", "text": "What now?"}], "background": True}
    given: Json = {"request": {"body": body}} if as_request else body
    _, (call,) = traced(
        lambda *_: whole({**DONE, "model": None, "agent": "deep-research"}),
        lambda client: client.interactions.create(**given).id,
    )
    assert (call["span_kind"], call["operation"], call["model"]) == ("agent", "invoke_agent", "deep-research")
    assert "What now?" in call["prompt_text"]


def test_steps_are_messages() -> None:
    """Those of a conversation that the user sends again."""
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "Weather?"}]},
        {"type": "function_call", "id": "f", "name": "weather", "arguments": {}},
        {"type": "function_result", "call_id": "f", "name": "weather", "result": "sunny"},
        {"type": "model_output", "content": [{"type": "text", "text": "Sunny."}]},
        {"type": "user_input", "content": [{"type": "text", "text": "And now?"}]},
    ]
    _, (call,) = traced(
        lambda *_: whole(DONE), lambda client: client.interactions.create(model="gemini-2.5-flash", input=steps).id
    )
    assert all(text in call["prompt_text"] for text in ("Weather?", "sunny", "Sunny.", "And now?", '"tool"'))


def test_a_stream_that_is_closed_ends_its_event() -> None:
    """With what has been read."""

    def use(client: Any) -> Any:
        stream = client.interactions.create(**GIVEN, stream=True)
        seen = [next(stream).event_type, next(stream).event_type]
        stream.close()
        return seen, stream  # which lives on

    (seen, _), (call,) = traced(lambda *_: STREAMED, use)
    assert seen == ["step.start", "step.delta"]
    assert (call["status"], call["completion_text"], call["output_tokens"]) == ("success", "Let me look.", None)
