"""Streams: the user keeps the client's own, and whatever becomes of it, there is one event."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from zespan_serverless_dev.emulator.model import WORDS, ModelEndpoint

import zespan_serverless
from zespan_serverless import patch_openai
from zespan_serverless._trace import context

if TYPE_CHECKING:
    from .conftest import Recorded, Scripted, Side

Invoke = Callable[[Callable[[], Any]], Any]

ROOT = str(Path(zespan_serverless.__file__).parents[1])
TEXT = "".join(WORDS)
USAGE = {"include_usage": True}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


@pytest.fixture
def no_gc() -> Iterator[None]:
    """The garbage collector does not come round."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_stream_is_one_event(side: Side, recorded: Recorded) -> None:
    """Read to its end: usage, text, finish reason, and the time to its first token."""
    stream = side.ask(stream=True, stream_options=USAGE, extra_headers={"x-latency-ms": "50"})
    assert recorded.calls() == []
    assert text_of(side.take(stream)) == TEXT
    event = recorded.one()
    assert (event["stream"], event["status"], event["finish_reason"]) == (True, "success", "stop")
    assert (event["input_tokens"], event["output_tokens"], event["completion_text"]) == (12, len(WORDS), TEXT)
    assert event["cost_usd"] == pytest.approx((12 * 0.15 + len(WORDS) * 0.60) / 1e6)
    assert 50 <= event["ttft_ms"] < 10_000


def test_the_first_token_is_not_the_last(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """ttft_ms ends with the first chunk, latency_ms with the last."""
    scripted.pace = 0.03
    scripted.replies = [[scripted.chunk("a"), scripted.chunk("b"), scripted.chunk("c"), "[DONE]"]]
    side.take(side.ask(stream=True))
    event = recorded.one()
    assert event["latency_ms"] - event["ttft_ms"] >= 60


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "Hi"},
        {"content": [{"type": "text", "text": "Hi"}]},
        {"refusal": "No"},
        {"reasoning_content": "Well"},
        {"reasoning": "Well"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
        {"function_call": {"name": "f"}},
        {"audio": {"transcript": "Hi"}},
        {"audio": {"data": "AAAA"}},
    ],
    ids=lambda delta: "-".join(str(name) for name in delta),
)
def test_the_first_token_says_something(
    side: Side, scripted: Scripted, recorded: Recorded, delta: dict[str, Any]
) -> None:
    """Roles, empty texts and usage are not yet an answer; text, reasoning, refusals, calls and sound are."""
    scripted.pace = 0.03
    empty = [scripted.chunk("", role="assistant"), scripted.chunk(tool_calls=[]), {"choices": [], "usage": None}]
    scripted.replies = [[*empty, scripted.chunk(**delta), scripted.chunk(finish="stop"), "[DONE]"]]
    side.take(side.ask(stream=True))
    assert recorded.one()["ttft_ms"] >= 90


def test_a_stream_that_says_nothing(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Has no time to its first token."""
    scripted.replies = [[scripted.chunk("", role="assistant"), scripted.chunk(finish="stop"), "[DONE]"]]
    side.take(side.ask(stream=True))
    assert "ttft_ms" not in recorded.one()


def test_tokens_of_a_stream_without_usage_are_unknown(
    side: Side, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    """The tokens of a stream that was not asked for them are unknown, not none; the log says once how to ask."""
    for _ in range(2):
        side.take(side.ask(stream=True))
    event = recorded.calls()[-1]
    assert (event["input_tokens"], event["output_tokens"], event["cost_usd"]) == (None, None, None)
    assert caplog.text.count('pass stream_options={"include_usage": True}') == 1
    assert event["model"] == "gpt-4o-mini"


def test_whatever_is_true_is_a_stream(side: Side, recorded: Recorded) -> None:
    """The client takes stream=1 for a stream, and so do we."""
    assert text_of(side.take(side.ask(stream=1))) == TEXT
    assert (recorded.one()["stream"], recorded.one()["completion_text"]) == (True, TEXT)


def test_the_stream_is_the_clients_own(side: Side, recorded: Recorded) -> None:
    """Its type, its response, and iterating, stepping and closing it are as they are without us."""
    stream = side.ask(stream=True)
    assert side.is_stream(stream)
    assert stream.response.status_code == 200
    assert stream.response.headers["x-request-id"].startswith("req_")
    chunks = side.take(stream, 2)
    assert all(type(chunk) is ChatCompletionChunk for chunk in chunks)
    if side.name == "sync":
        chunks += list(stream)
        assert next(stream, None) is None
    else:

        async def rest() -> list[Any]:
            return [chunk async for chunk in stream]

        chunks += side.run(rest())
        assert side.run(anext(stream, None)) is None
    assert text_of(chunks) == TEXT
    side.run(stream.close())
    assert stream.response.is_closed
    assert recorded.one()["completion_text"] == TEXT


@pytest.mark.parametrize("_side", ["sync"], indirect=True)
def test_an_iterator_of_another_tools(side: Side, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that reads along inside of the stream, as Sentry and Langfuse do, still does."""
    owner = type(side.client.chat.completions)
    ours = owner.create
    seen: list[str] = []

    def watch(chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            seen.append(chunk.choices[0].delta.content or "")
            yield chunk
        seen.append("(end)")

    def theirs(*args: Any, **request: Any) -> Any:
        stream = ours.__zespan_original__(*args, **request)
        stream._iterator = watch(stream._iterator)
        return stream

    monkeypatch.setattr(owner, "create", theirs)
    patch_openai()
    assert text_of(side.take(side.ask(stream=True))) == TEXT
    assert "".join(seen) == TEXT + "(end)"
    assert recorded.one()["completion_text"] == TEXT


def test_chunks_are_what_they_are_without_us(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Every one of them, in order."""
    chunks = [scripted.chunk(word) for word in "abc"]
    scripted.replies = [[*chunks, "[DONE]"]]
    assert [chunk.to_dict() for chunk in side.take(side.ask(stream=True))] == chunks


def test_a_context_manager(side: Side, recorded: Recorded) -> None:
    """`with stream:` closes it, read or not."""
    stream = side.ask(stream=True)
    assert side.enter(stream) is stream
    side.take(stream, 3)
    side.leave(stream)
    assert stream.response.is_closed
    event = recorded.one()
    assert (event["status"], event["finish_reason"], event["completion_text"]) == ("success", "", "Hello,")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_closed_early_has_what_was_read(side: Side, recorded: Recorded, count: int) -> None:
    """The event comes with the close, and tells what had been read by then; a second close changes nothing."""
    stream = side.ask(stream=True)
    chunks = side.take(stream, count)
    side.run(stream.close())
    event = recorded.one()
    assert event["completion_text"] == text_of(chunks)
    assert ("ttft_ms" in event) == bool(text_of(chunks))
    side.run(stream.close())
    assert recorded.one() == event


def test_closed_at_once(side: Side, recorded: Recorded) -> None:
    """Where nothing but the call of `close` holds the stream."""
    if side.name == "sync":
        side.ask(stream=True).close()
    else:

        async def close() -> None:
            await (await side.client.chat.completions.create(model="m", messages=[], stream=True)).close()

        side.run(close())
    assert recorded.one()["status"] == "success"


def test_its_response_closed(side: Side, recorded: Recorded) -> None:
    """Closing the HTTP response closes the stream."""
    response = side.ask(stream=True).response
    side.run(response.close() if side.name == "sync" else response.aclose())
    assert response.is_closed
    assert recorded.one()["status"] == "success"


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_dropped_stream_ends_without_the_garbage_collector(side: Side, recorded: Recorded, count: int) -> None:
    """An unreferenced stream ends at once, read or not, without the garbage collector."""
    stream = side.ask(stream=True)
    chunks = side.take(stream, count)
    alive = weakref.ref(stream)
    del stream
    assert alive() is None
    event = recorded.one()
    assert (event["status"], event["completion_text"]) == ("success", text_of(chunks))


@pytest.mark.usefixtures("no_gc")
def test_dropped_streams_give_up_their_connection(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """The model sees the client hang up in the middle of an endless answer."""
    scripted.pace = 0.001
    scripted.replies = [itertools.repeat(scripted.chunk("more"))]
    stream = side.ask(stream=True)
    side.take(stream, 2)
    del stream
    side.run(asyncio.sleep(0.05) if side.name == "async" else None)  # closing takes an event loop its time
    assert scripted.hung_up.wait(5)
    assert recorded.one()["completion_text"] == "moremore"


@pytest.mark.usefixtures("no_gc")
def test_a_loop_left_early(recorded: Recorded, model: ModelEndpoint) -> None:
    """The commonest way to abandon a stream."""
    with openai.OpenAI(base_url=model.url, api_key="k") as client:
        for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
            if chunk.choices[0].delta.content:
                break
        assert recorded.one()["completion_text"] == "Hello"


@pytest.mark.usefixtures("no_gc")
def test_nothing_stays_behind(side: Side, recorded: Recorded) -> None:
    """A stream read to its end leaves no garbage and nothing to be ended."""
    span = context.Span(context.new_trace_id(), "")
    token = context.enter(span)
    stream = side.ask(stream=True)
    reading = weakref.ref(stream._iterator)
    response = stream.response
    assert len(span.root.open) == 1
    side.take(stream)
    token.leave()
    assert span.root.open == {}
    assert not {"close", "aclose"} & vars(response).keys()
    del stream
    assert reading() is None


def test_a_stream_that_breaks_off(side: Side, recorded: Recorded) -> None:
    """The exception is the client's own; the event has it, and what came before it."""
    stream = side.ask(stream=True, extra_headers={"x-stream-fail-after": "3"})
    with pytest.raises(Exception, match=r"peer closed connection|Connection error") as caught:
        side.take(stream)
    event = recorded.one()
    assert (event["status"], event["error_message"]) == ("error", str(caught.value))
    assert (event["completion_text"], event["stream"]) == ("Hello,", True)
    assert type(caught.value).__module__.split(".")[0] in ("openai", "httpx")
    assert side.take(stream) == []
    side.run(stream.close())
    assert len(recorded.calls()) == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [('{"error": {"message": "overloaded"}}', openai.APIError), ("{no json", ValueError)],
    ids=["error", "no json"],
)
def test_an_error_in_the_stream(
    side: Side, scripted: Scripted, recorded: Recorded, data: str, error: type[Exception]
) -> None:
    """What the client makes of it, the event has."""
    scripted.replies = [[scripted.chunk("one"), data]]
    with pytest.raises(error) as caught:
        side.take(side.ask(stream=True))
    event = recorded.one()
    assert (event["status"], event["error_message"], event["completion_text"]) == ("error", str(caught.value), "one")


def test_a_stream_that_cannot_be_opened(side: Side, recorded: Recorded) -> None:
    """An error before the stream is that of a call, marked as a stream."""
    with pytest.raises(openai.InternalServerError):
        side.ask(model="error-500", stream=True)
    event = recorded.one()
    assert (event["status"], event["stream"]) == ("error", True)


def test_an_end_without_done(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Some backends just stop, in the middle of the line even."""
    scripted.replies = [[scripted.chunk("one"), scripted.chunk("two", finish="stop")]]
    assert text_of(side.take(side.ask(stream=True))) == "onetwo"
    assert recorded.one()["finish_reason"] == "stop"


@pytest.mark.parametrize("_side", ["async"], indirect=True)
def test_a_cancelled_task(scripted: Scripted, side: Side, recorded: Recorded) -> None:
    """Cancelled while it waits for the next chunk: an error, by its name."""
    scripted.pace = 0.3
    scripted.replies = [[scripted.chunk("one"), scripted.chunk("two"), "[DONE]"]]

    async def read() -> None:
        stream = await side.client.chat.completions.create(model="m", messages=[], stream=True)
        async with asyncio.timeout(0.15):
            async for _ in stream:
                pass

    with pytest.raises(TimeoutError):
        side.run(read())
    event = recorded.one()
    assert (event["status"], event["error_message"]) == ("error", "CancelledError")
    assert event["completion_text"] == "one"


def test_a_streamed_tool_call_is_joined(side: Side, recorded: Recorded) -> None:
    """A tool call is joined from its chunks."""
    side.take(side.ask(stream=True, tools=TOOLS))
    event = recorded.one()
    assert (event["tools_used"], event["finish_reason"]) == (["weather"], "tool_calls")
    assert event["tool_call_args"] == '{"weather":{"city":"Paris"}}'
    assert event["tool_definitions"] == [{"name": "weather", "description": None}]


def test_tools_of_other_backends(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Interleaved calls, a name that is repeated with every piece, and no index."""

    def piece(name: str, arguments: str, **index: int) -> dict[str, Any]:
        return scripted.chunk(tool_calls=[{**index, "function": {"name": name, "arguments": arguments}}])

    pieces = [
        piece("a", '{"x"', index=0),
        piece("b", "", index=1),
        piece("a", ": 1}", index=0),
        piece("b", "{}", index=1),
    ]
    scripted.replies = [[*pieces, "[DONE]"], [piece("c", "{"), piece("c", "}"), "[DONE]"]]
    side.take(side.ask(stream=True))
    side.take(side.ask(stream=True))
    first, second = recorded.calls()
    assert first["tool_call_args"] == '{"a":{"x":1},"b":{}}'
    assert second["tool_call_args"] == '{"c":{}}'


def test_streamed_choices_become_a_list(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """With n=2 the chunks of both come in turns; the event has a list of both texts, not one of both mixed."""
    chunks = [scripted.chunk(word, index=i % 2) for i, word in enumerate(["a", "A", "b", "B"])]
    scripted.replies = [[*chunks, scripted.chunk(finish="stop"), scripted.chunk(index=1, finish="length"), "[DONE]"]]
    side.take(side.ask(stream=True, n=2))
    assert (recorded.one()["completion_text"], recorded.one()["finish_reason"]) == ('["ab","AB"]', "stop")


def test_an_unusual_chunk_reaches_the_user(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """The user gets an unusual chunk unchanged, and the event is not lost."""
    odd: list[Any] = [
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": None, "usage": {"prompt_tokens": "many"}},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": None}]}}]},
        {"model": 5},
    ]
    scripted.replies = [[*odd, scripted.chunk("text"), "[DONE]"]]
    assert len(side.take(side.ask(stream=True))) == 5
    assert recorded.one()["completion_text"] == "text"


def test_the_stream_helper(side: Side, recorded: Recorded) -> None:
    """`.stream()` reads the same stream, and makes its own events of it."""
    manager = side.helper(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], stream_options=USAGE)
    stream = side.enter(manager)
    assert "content.delta" in {event.type for event in side.take(stream)}
    assert side.run(stream.get_final_completion()).choices[0].message.content == TEXT
    side.leave(manager)
    event = recorded.one()
    assert (event["output_tokens"], event["finish_reason"]) == (len(WORDS), "stop")


@pytest.mark.usefixtures("no_gc")
def test_the_stream_helper_left_early(side: Side, recorded: Recorded) -> None:
    """Leaving its block ends the stream there and then."""
    manager = side.helper(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
    side.take(side.enter(manager), 4)
    assert recorded.calls() == []
    side.leave(manager)
    event = recorded.one()
    assert event["status"] == "success"
    assert TEXT.startswith(event["completion_text"])


def test_a_raw_stream(side: Side, recorded: Recorded) -> None:
    """with_raw_response of a stream: its parse() gives the one stream there is."""
    create = side.client.chat.completions.with_raw_response.create
    raw = side.run(create(model="m", messages=[], stream=True, stream_options=USAGE))
    assert raw.headers["x-request-id"].startswith("req_")
    assert side.is_stream(raw.parse())
    assert text_of(side.take(raw.parse())) == TEXT
    assert recorded.one()["output_tokens"] == len(WORDS)


def test_a_raw_stream_read_by_hand(side: Side, recorded: Recorded) -> None:
    """Without parse() the event still comes with the end of the body."""
    create = side.client.chat.completions.with_raw_response.create
    raw = side.run(create(model="m", messages=[], stream=True))
    body = side.run(raw.http_response.read() if side.name == "sync" else raw.http_response.aread())
    assert b"[DONE]" in body
    assert (recorded.one()["stream"], recorded.one()["completion_text"]) == (True, "")


@pytest.mark.parametrize("parse", [True, False], ids=["parsed", "by hand"])
def test_a_streaming_response_of_a_stream(side: Side, recorded: Recorded, parse: bool) -> None:
    """with_streaming_response of a stream: parse() gives a stream like any; without it the block's end is the end."""
    create = side.client.chat.completions.with_streaming_response.create
    manager = create(model="m", messages=[], stream=True, stream_options=USAGE)
    response = side.enter(manager)
    if parse:
        stream = side.run(response.parse())
        assert side.run(response.parse()) is stream
        assert text_of(side.take(stream, 4)) == "Hello, serverless"
    assert recorded.calls() == []
    side.leave(manager)
    assert (recorded.one()["stream"], recorded.one()["completion_text"]) == (True, "Hello, serverless" if parse else "")


def test_still_open_when_the_invocation_ends(side: Side, recorded: Recorded, invoke: Invoke) -> None:
    """It is ended then, with what had been read; neither reading on nor dropping it makes a second event."""

    def body() -> Any:
        stream = side.ask(stream=True)
        side.take(stream, 3)
        return stream

    stream = invoke(body)
    event, root = recorded.all()
    assert (event["completion_text"], event["trace_id"]) == ("Hello,", root["trace_id"])
    assert text_of(side.take(stream)) == " serverless world!"
    side.run(stream.close())
    del stream
    gc.collect()
    assert recorded.all() == [event, root]


def test_a_streaming_response_still_open_when_the_invocation_ends(
    side: Side, recorded: Recorded, invoke: Invoke
) -> None:
    """The same for a response whose body has not been requested yet."""
    manager = side.client.chat.completions.with_streaming_response.create(model="m", messages=[])
    invoke(lambda: side.enter(manager))
    assert [event["model"] for event in recorded.all()] == ["m", ""]
    side.leave(manager)
    assert len(recorded.all()) == 2


def test_dropped_after_the_invocation(side: Side, recorded: Recorded, invoke: Invoke) -> None:
    """Opened in an invocation, never read, dropped later: one event."""
    stream = invoke(lambda: side.ask(stream=True))
    assert len(recorded.calls()) == 1
    del stream
    gc.collect()
    assert len(recorded.calls()) == 1


def test_each_invocation_ends_its_own(side: Side, recorded: Recorded, invoke: Invoke) -> None:
    """The second invocation has nothing to do with a stream that the first left open."""
    streams = [invoke(lambda: side.ask(stream=True)) for _ in range(2)]
    first, first_root, second, second_root = recorded.all()
    assert first["trace_id"] == first_root["trace_id"] != second["trace_id"] == second_root["trace_id"]
    assert all(text_of(side.take(stream)) == TEXT for stream in streams)


def test_two_at_once(side: Side, recorded: Recorded) -> None:
    """Streams read in turns do not get into each other's way."""
    one, two = side.ask(stream=True, model="one"), side.ask(stream=True, model="two")
    while side.take(one, 1) + side.take(two, 2):
        pass
    assert {event["model"]: event["completion_text"] for event in recorded.calls()} == {"one": TEXT, "two": TEXT}


def test_ended_by_many_threads_at_once(model: ModelEndpoint, recorded: Recorded) -> None:
    """The user's thread closes the stream while the invocation's end does: one event."""
    with openai.OpenAI(base_url=model.url, api_key="k") as client:
        for _ in range(30):
            stream = client.chat.completions.create(model="m", messages=[], stream=True)
            ready = threading.Barrier(4)

            def end(ready: threading.Barrier = ready, end: Callable[[], None] = stream._iterator.end) -> None:  # type: ignore[attr-defined]
                ready.wait()
                end()

            threads = [threading.Thread(target=end) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stream.close()
    assert len(recorded.calls()) == 30


@pytest.mark.parametrize("_side", ["sync"], indirect=True)
def test_closed_by_another_thread(scripted: Scripted, side: Side, recorded: Recorded) -> None:
    """A watchdog closes the stream that another thread waits on: the reader gets its error, and there is one event."""
    scripted.pace = 0.1
    scripted.replies = [[scripted.chunk(word) for word in "abcdef"]]
    stream = side.ask(stream=True)
    watchdog = threading.Timer(0.15, stream.close)
    watchdog.start()
    with pytest.raises(Exception):  # noqa: B017, PT011 -- which one is httpx's to say
        side.take(stream)
    watchdog.join()
    assert recorded.one()["status"] == "error"


@pytest.mark.slow
def test_a_program_that_exits_with_open_streams(model: ModelEndpoint) -> None:
    """It exits, at once and without a word: nothing is captured, and no thread started, while Python shuts down."""
    script = """
        import sys, openai, zespan_serverless
        zespan_serverless.init(exporter="memory")
        client = openai.OpenAI(base_url=sys.argv[1], api_key="k")
        streams = [client.chat.completions.create(model="m", messages=[], stream=True) for _ in range(3)]
        next(streams[0])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), model.url]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
