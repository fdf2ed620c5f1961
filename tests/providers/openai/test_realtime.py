"""OpenAI's Realtime API: one event for each response and transcript, and connections that are the SDK's."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import textwrap
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.test_apis import IGNORED, functions_of
from zespan_serverless import flush, span, testing, zespan_lambda
from zespan_serverless.providers.openai._realtime import Session

from .realtime import (
    ANSWER,
    CALL,
    SESSION,
    SOUND,
    SPOKEN,
    Json,
    Played,
    Step,
    User,
    created,
    delta,
    done,
    event,
    manager_of,
    play,
    serving,
)

pytestmark = [
    pytest.mark.slow,
    *(pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED),
]


@pytest.fixture(params=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


async def ask(user: User) -> None:
    """Wait for the session, ask, and read the whole answer."""
    await user.read("session.created")
    await user.ask()
    await user.read()


def answered(*steps: Step, is_async: bool = False, work: Any = ask, **more: Any) -> Played:
    """Return what is recorded of one answer; the user sees the same without us."""
    with serving([*steps]) as url:
        bare = play(url, work, is_async=is_async, traced=False)
        ours = play(url, work, is_async=is_async, **more)
    assert ours.seen == bare.seen
    return ours


@pytest.mark.parametrize("beta", [False, True])
def test_a_response_is_one_event(is_async: bool, beta: bool) -> None:
    """With model, all numbers of tokens, cost, transcript and times, in the trace of the function."""
    with serving(ANSWER) as url:
        bare = play(url, ask, is_async=is_async, traced=False, beta=beta)
        ours = play(url, ask, is_async=is_async, beta=beta)
    assert ours.seen == bare.seen
    assert len(ours.seen) == 10
    call, root = ours.only(), ours.events[-1]
    expected = {
        "span_kind": "llm",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-realtime-2025-08-28",
        "stream": True,
        "status": "success",
        "finish_reason": "stop",
        "input_tokens": 100,
        "cached_tokens": 30,
        "output_tokens": 50,
        # 40 new tokens of text, 20 cached ones, 30 of sound, 10 cached ones; 20 and 30 of the answer
        "cost_usd": pytest.approx((40 * 4 + 20 * 0.4 + 30 * 32 + 10 * 0.4 + 20 * 16 + 30 * 64) / 1e6),
        "completion_text": "It is sunny.",
        "system_prompt": "Speak quickly.",
        "trace_id": root["trace_id"],
        "parent_span_id": root["span_id"],
    }
    assert {name: call[name] for name in expected} == expected
    assert "What is the weather in Bern?" in call["prompt_text"]
    first_chunk_s = call["metadata"].pop("gen_ai.response.time_to_first_chunk")
    assert 0 < first_chunk_s * 1000 <= call["ttft_ms"] <= call["latency_ms"] + 1
    assert call["metadata"] == {
        "gen_ai.usage.text.input_tokens": 60,
        "gen_ai.usage.audio.input_tokens": 40,
        "gen_ai.usage.text.cache_read.input_tokens": 20,
        "gen_ai.usage.audio.cache_read.input_tokens": 10,
        "gen_ai.usage.text.output_tokens": 20,
        "gen_ai.usage.audio.output_tokens": 30,
    }


def test_audio_is_not_stored_and_transcripts_only_with_store_prompts(is_async: bool) -> None:
    """Sound that is sent or received is in no event; texts are in none with `store_prompts=False`."""

    async def work(user: User) -> None:
        content = [{"type": "input_audio", "audio": SOUND}, {"type": "input_text", "text": "secret question"}]
        await user.say("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await ask(user)

    stored = answered(*ANSWER, is_async=is_async, work=work)
    hidden = answered(*ANSWER, is_async=is_async, work=work, store_prompts=False)
    assert SOUND[:16] not in json.dumps([stored.events, hidden.events])
    assert "secret question" in json.dumps(stored.events)
    for text in ("secret", "weather", "sunny", "quickly"):
        assert text not in json.dumps(hidden.events)
    assert hidden.only()["output_tokens"] == 50


@pytest.mark.parametrize(
    ("status", "details", "finish", "error"),
    [
        ("completed", None, "stop", None),
        ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "cancelled", None),
        ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "length", None),
        ("incomplete", {"type": "incomplete", "reason": "content_filter"}, "content_filter", None),
        ("failed", {"type": "failed", "error": {"type": "server_error", "message": "too hot"}}, None, "too hot"),
    ],
)
def test_how_a_response_ends(status: str, details: Json | None, finish: str, error: str | None, is_async: bool) -> None:
    """A response that was not completed has its reason; one that failed is an error. What was used is counted."""
    end = done(SPOKEN, status=status, status_details=details)
    call = answered(created(), delta("output_audio", SOUND), end, is_async=is_async).only()
    assert (call["finish_reason"] or None, call["error_message"]) == (finish, error)
    assert call["status"] == ("error" if error else "success")
    assert (call["input_tokens"], call["output_tokens"]) == (100, 50)


def test_a_response_that_is_cancelled_by_the_user() -> None:
    """`response.cancel` is no event of its own."""

    async def work(user: User) -> None:
        await user.ask()
        await user.read("response.created")
        await user.say("response.cancel")
        await user.read()

    end = done(status="cancelled", status_details={"type": "cancelled", "reason": "client_cancelled"})
    assert answered(created(), end, work=work).only()["finish_reason"] == "cancelled"


def test_calls_of_tools(is_async: bool) -> None:
    """A function that the user is to call is in the event; one that OpenAI calls does not end the answer."""
    mcp = {"id": "m", "type": "mcp_call", "name": "roll", "server_label": "dice", "arguments": "{}", "output": "4"}
    tools = [{"type": "function", "name": "weather", "description": "Looks.", "parameters": {"type": "object"}}]

    async def work(user: User) -> None:
        await user.read("session.created")
        await user.say("session.update", session={"type": "realtime", "tools": tools, "instructions": "Be brief."})
        await ask_and_tell(user)

    async def ask_and_tell(user: User) -> None:
        await user.ask()
        await user.read()
        output = {"type": "function_call_output", "call_id": "c", "output": "22 degrees"}
        await user.say("conversation.item.create", item=output)
        await user.say("response.create")
        await user.read()

    first = [created(), delta("function_call_arguments", '{"city": '), done(CALL)]
    second = [created("resp_2"), delta("mcp_call_arguments", "{}", "resp_2"), done(mcp, SPOKEN, response="resp_2")]
    with serving(first, second) as url:
        asked, told = play(url, work, is_async=is_async).calls
    assert asked["finish_reason"] == "tool_calls"
    assert (asked["tools_used"], asked["tool_call_args"]) == (["weather"], '{"weather":{"city":"Bern"}}')
    assert asked["ttft_ms"] is not None
    assert asked["system_prompt"] == "Be brief."
    assert "Looks." in json.dumps(asked["tool_definitions"])
    assert (told["finish_reason"], told["completion_text"]) == ("stop", "It is sunny.")
    roles = [message["role"] for message in json.loads(told["prompt_text"])]
    assert roles == ["user", "assistant", "tool"]
    assert "22 degrees" in told["prompt_text"]


def test_two_responses_at_a_time(is_async: bool) -> None:
    """Each has its own texts, tokens and prompt."""

    async def work(user: User) -> None:
        await user.ask()
        question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Which language?"}]}
        await user.say("response.create", response={"conversation": "none", "input": [question], "instructions": "X"})
        await user.read(times=2)

    def said(text: str) -> Json:
        return {**SPOKEN, "content": [{"type": "output_text", "text": text}]}

    steps: list[Step] = [
        created("a"),
        created("b"),
        delta("output_text", "su", "a"),
        delta("output_text", "Ger", "b"),
        done(said("German"), response="b", conversation_id=None, usage=None),
        done(said("sunny"), response="a"),
    ]
    with serving([], steps) as url:
        last, first = play(url, work, is_async=is_async).calls
    assert (first["completion_text"], first["output_tokens"]) == ("sunny", 50)
    assert (last["completion_text"], last["output_tokens"]) == ("German", None)
    assert "Bern" in first["prompt_text"]
    assert "Bern" not in last["prompt_text"]
    assert "Which language?" in last["prompt_text"]
    assert last["system_prompt"] == "X"


def test_the_trace_is_that_in_which_a_response_is_asked_for(is_async: bool) -> None:
    """If the user has not asked, because the server detects the end of speech, it is that in which it is read."""

    async def work(user: User) -> None:
        await user.read("session.created")
        with span("asks", kind="agent"):
            await user.ask()
        with span("reads", kind="agent"):
            await user.read()
            await user.say("input_audio_buffer.commit")
            await user.read()

    detected = [event("input_audio_buffer.committed", item_id="item_0"), created("resp_2"), done(response="resp_2")]
    with serving(ANSWER, detected) as url:
        played = play(url, work, is_async=is_async)
    asks, reads = ([e["span_id"] for e in played.events if e["operation"] == name] for name in ("asks", "reads"))
    assert [call["parent_span_id"] for call in played.calls] == [*asks, *reads]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "type": "tokens",
                "input_tokens": 14,
                "output_tokens": 4,
                "total_tokens": 18,
                "input_token_details": {"audio_tokens": 14, "text_tokens": 0},
            },
            {"gen_ai.usage.audio.input_tokens": 14},
        ),
        ({"type": "duration", "seconds": 2.5}, {"audio_seconds": 2.5}),
    ],
)
def test_a_transcript_of_what_the_user_says_is_one_event(usage: Json, expected: Json, is_async: bool) -> None:
    """With the model that has made it, and what it has used."""

    async def work(user: User) -> None:
        await user.read("session.created")
        await user.say("input_audio_buffer.commit")
        await user.read(f"{where}completed")

    where, at = "conversation.item.input_audio_transcription.", {"item_id": "item_0", "content_index": 0}
    steps: list[Step] = [
        event("input_audio_buffer.committed", item_id="item_0"),
        event(f"{where}delta", delta="How is ", **at),
        event(f"{where}completed", transcript="How is it?", usage=usage, **at),
    ]
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
    with serving(steps, session=session) as url:
        call = play(url, work, is_async=is_async).only()
    assert (call["span_kind"], call["model"], call["completion_text"]) == ("audio", "gpt-4o-transcribe", "How is it?")
    assert (call["status"], call["input_tokens"]) == ("success", usage.get("input_tokens"))
    assert 0 < call["metadata"].pop("gen_ai.response.time_to_first_chunk") * 1000 <= call["ttft_ms"]
    assert call["metadata"] == expected


def test_a_transcript_is_part_of_the_next_prompt() -> None:
    """As what the user has said; one that fails is an error."""

    async def work(user: User) -> None:
        for kind in ("completed", "failed"):
            await user.say("input_audio_buffer.commit")
            await user.read(f"{where}{kind}")
        await user.say("response.create")
        await user.read()

    where, at = "conversation.item.input_audio_transcription.", {"item_id": "item_0", "content_index": 0}
    heard = event(f"{where}completed", transcript="How is it?", usage={"type": "duration", "seconds": 1.0}, **at)
    failed = event(f"{where}failed", error={"message": "unintelligible"}, **at)
    committed = event("input_audio_buffer.committed", item_id="item_0")
    session = {**SESSION, "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    with serving([committed, heard], [committed, failed], ANSWER, session=session) as url:
        good, bad, response = play(url, work, is_async=False).calls
    assert (good["status"], bad["status"], bad["error_message"]) == ("success", "error", "unintelligible")
    assert "How is it?" in response["prompt_text"]


# ---------------------------------------------------------------------- what goes wrong


def test_a_connection_that_is_refused_is_one_event(is_async: bool) -> None:
    """The user gets the SDK's exception, and the event names the model that was wanted."""
    with serving(status=401) as url:
        bare = play(url, ask, is_async=is_async, traced=False)
        ours = play(url, ask, is_async=is_async)
    assert ours.seen == bare.seen
    assert "raised InvalidStatus" in ours.seen[0]
    call = ours.only()
    assert (call["status"], call["model"], call["metadata"]["error.type"]) == ("error", "gpt-realtime", "InvalidStatus")


@pytest.mark.parametrize("event_id", ["mine", None])
def test_a_request_that_the_server_refuses_is_one_event(event_id: str | None, is_async: bool) -> None:
    """Whether the error names the request, or not; the next response is not taken for its answer."""

    async def work(user: User) -> None:
        await user.say("response.create", **({"event_id": event_id} if event_id else {}))
        await user.read("error")
        await user.ask()
        await user.read()

    error = {"type": "invalid_request_error", "message": "already active", "event_id": event_id}
    with serving([event("error", error=error)], ANSWER) as url:
        calls = play(url, work, is_async=is_async).calls
    by_status = {call["status"]: call for call in calls}
    assert len(calls) == 2
    assert by_status["error"]["error_message"] == "already active"
    assert by_status["success"]["completion_text"] == "It is sunny."
    assert "Bern" in by_status["success"]["prompt_text"]


@pytest.mark.parametrize("event_id", ["of the session.update", None])
def test_an_error_about_something_else(event_id: str | None) -> None:
    """A response that begins all the same has not failed."""
    error = {"type": "invalid_request_error", "message": "no such voice", "event_id": event_id}
    call = answered(event("error", error=error), *ANSWER).only()
    assert (call["status"], call["completion_text"]) == ("success", "It is sunny.")


@pytest.mark.parametrize("how", ["asked", "created", "said"])
def test_a_response_that_is_left_is_one_event(how: str, is_async: bool) -> None:
    """When the connection is closed: no error, and what has been said until then."""

    async def work(user: User) -> None:
        await user.ask()
        if how != "asked":
            await user.read("response.created" if how == "created" else "response.output_audio_transcript.delta")
        await user.close()

    call = answered(*ANSWER[:4], is_async=is_async, work=work).only()
    assert (call["status"], call["finish_reason"] or None, call["input_tokens"]) == ("success", None, None)
    assert (call["completion_text"] or "") == ("It is " if how == "said" else "")


def test_a_connection_that_breaks_off(is_async: bool) -> None:
    """The response that was under way is an error; one that the server ends in order is not."""
    broken = answered(*ANSWER[:4], lambda socket: socket.close(1011), is_async=is_async).only()
    assert (broken["status"], broken["metadata"]["error.type"]) == ("error", "ConnectionClosedError")
    assert broken["completion_text"] == "It is "
    ended = answered(*ANSWER[:4], lambda socket: socket.close(1000), is_async=is_async).only()
    assert (ended["status"], ended["completion_text"]) == ("success", "It is ")


def test_a_read_that_is_cancelled_does_not_end_the_response() -> None:
    """`asyncio.wait_for` around a read is usual where a user may interrupt."""

    async def work(user: User) -> None:
        await user.ask()
        await user.read("response.created")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(user.connection.recv(), 0.05)
        await user.say("response.create")
        await user.read()

    with serving(ANSWER[:1], ANSWER[1:]) as url:
        finished, left = play(url, work, is_async=True).calls
    assert (finished["finish_reason"], finished["completion_text"]) == ("stop", "It is sunny.")
    assert not left["finish_reason"]


def test_a_request_that_cannot_be_sent(is_async: bool) -> None:
    """On a closed connection: the user gets the exception, and the event is an error."""

    async def work(user: User) -> None:
        await user.close()
        await user.say("response.create")

    played = answered(is_async=is_async, work=work)
    assert "raised ConnectionClosed" in played.seen[-1]
    assert (played.only()["status"], played.only()["metadata"]["error.type"]) == ("error", "ConnectionClosedOK")


def test_a_request_that_cannot_be_written(is_async: bool) -> None:
    """It is an error; the next request on the same connection has its own answer."""

    async def work(user: User) -> None:
        with pytest.raises(TypeError):
            await user.say("response.create", response={"instructions": object()})
        await ask(user)

    refused, call, _ = answered(*ANSWER, is_async=is_async, work=work).events
    assert (refused["status"], refused["metadata"]["error.type"]) == ("error", "TypeError")
    assert (call["status"], call["input_tokens"], call["completion_text"]) == ("success", 100, "It is sunny.")


def test_a_connection_that_is_dropped(is_async: bool) -> None:
    """A response that can no longer be read is one event, and no reference of the package keeps the connection."""

    async def use(url: str) -> None:
        entered = manager_of(url, is_async=is_async).enter()
        user = User(await entered if is_async else entered)
        await user.ask()
        await user.read("response.created")
        socket, alive = user.connection._connection, weakref.ref(user.connection)
        del user, entered
        gc.collect()
        assert alive() is None
        flush(5)
        assert [event["status"] for event in events] == ["success"]
        closed = socket.close()
        if is_async:
            await closed

    with serving(ANSWER[:1]) as url, testing.recording() as events:
        asyncio.run(use(url))
    assert len(events) == 1


def test_the_invocation_ends_before_the_response(is_async: bool) -> None:
    """One event, when the invocation ends; what is read later adds none."""
    loop = asyncio.new_event_loop()
    users: list[User] = []

    async def begin(url: str) -> None:
        entered = manager_of(url, is_async=is_async).enter()
        users.append(User(await entered if is_async else entered))
        await users[0].ask()
        await users[0].read("response.created")

    async def finish() -> None:
        await users[0].read()
        await users[0].close()

    @zespan_lambda
    def handler(event: Any, context: object) -> None:
        loop.run_until_complete(begin(event))

    with serving(ANSWER) as url, testing.recording() as events:
        handler(url, testing.LambdaContext())
        seen = [event["span_kind"] for event in events]
        assert seen.count("llm") == 1
        loop.run_until_complete(finish())
        flush(5)
    loop.close()
    assert [event["span_kind"] for event in events] == seen


def test_whatever_fails_inside_the_connection_is_the_users(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the package's functions at a time raises: what is sent and received stays the same, and no event is
    doubled."""

    async def work(user: User) -> None:
        await user.read("session.created")
        await user.say("session.update", session={"type": "realtime", "instructions": "Be brief."})
        await user.ask()
        await user.read()
        await user.say("response.create")
        await user.read("error")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken inside")

    error = {"type": "invalid_request_error", "message": "already active"}
    scripts: tuple[list[Step], ...] = ANSWER, [event("error", error=error)]
    tried = 0
    with serving(*scripts) as url:
        bare = play(url, work, is_async=is_async, traced=False)
        for owner, name in functions_of("openai"):
            module = getattr(owner, "__module__", None) or owner.__name__
            if not module.rpartition(".")[2].startswith(("_realtime", "openai")):
                continue
            tried += 1
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, broken)
                ours = play(url, work, is_async=is_async)
            assert ours.seen == bare.seen, (owner, name)
            assert len(ours.calls) <= 2, (owner, name)
    assert tried > 12
    assert "raised" not in bare.seen[-1]


FIELDS = [
    *("id", "item", "content", "output", "usage", "session", "model", "tools", "audio", "input", "error", "delta"),
    *("transcription", "response_id", "item_id", "status", "status_details", "input_tokens"),
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("resp_1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)
KINDS = [
    *("session.created", "session.updated", "error", "input_audio_buffer.committed", "response.created"),
    *("response.output_item.done", "response.output_text.delta", "response.done", "response.create"),
    *("conversation.item.create", "session.update", "conversation.item.input_audio_transcription.completed"),
]
MESSAGE = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(("response", "session", "item", "error", "response_id", "item_id")), ODD),
)


@given(st.lists(st.tuples(st.booleans(), MESSAGE), max_size=8))
def test_messages_of_any_shape_are_read(messages: list[tuple[bool, Json]]) -> None:
    """Whatever a server or a user sends, the package does not raise, and no event is lost."""
    session, begun = Session("openai", "m"), 0
    with testing.recording() as events:
        for is_sent, message in messages:
            before = {*map(id, session.asked), *map(id, session.open.values())}
            if is_sent:
                session.sent(message)
            else:
                session.received(message)
            begun += bool({*map(id, session.asked), *map(id, session.open.values())} - before)
        session.end()
        flush(5)
    assert len(events) >= begun


# ---------------------------------------------------------------------- the SDK's objects


def test_handlers_of_events_and_bytes_that_the_user_has_parsed() -> None:
    """`dispatch_events`, and `parse_event` of what `recv_bytes` gives, are traced like `recv`."""

    async def dispatched(user: User) -> None:
        await user.ask()
        user.connection.on("response.done", lambda found: user.connection.close())
        user.connection.dispatch_events()

    async def parsed(user: User) -> None:
        await user.ask()
        for _ in range(11):
            user.seen.append(user.connection.parse_event(user.connection.recv_bytes()).type)

    for work in (dispatched, parsed):
        assert answered(*ANSWER, work=work).only()["completion_text"] == "It is sunny."


def test_a_process_without_telemetry() -> None:
    """A connection that is opened before telemetry starts is not traced, and works."""
    with serving(ANSWER) as url:
        testing.reset()
        played = play(url, ask, is_async=False, traced=False)
    assert "ResponseDoneEvent" in played.seen[-1]


def test_clients_without_a_connection_do_not_import_it() -> None:
    """Most functions that call OpenAI open none."""
    script = """
        import json, sys
        from zespan_serverless import init
        session = init(exporter="memory", enabled=True)
        import openai
        openai.OpenAI(api_key="k").realtime
        manager = openai.OpenAI(api_key="k").realtime.connect(model="m")
        assert hasattr(type(manager).enter, "__zespan_original__")
        print(json.dumps([name for name in sys.modules if "_realtime" in name and "zespan" in name]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout) == []
