"""Measures the cost of tracing one model call of 2 KB, and one piece of a stream: `python -m tools.bench_calls`.

The SDK's real client makes the request, and its real types are the answer, without HTTP. The arguments and the result
then pass repeatedly through the package's wrapper, and through none: the difference is the package's share, without the
SDK's far longer work and its variation. Both alternate in short rounds; a round's figure is the CPU time of the calling
thread, and the fastest round counts, because other work on the machine only ever adds.

`instructions` counts Python's bytecode instructions in that, including the SDK's code that the package calls: they do
not depend on the machine. `clock` is how long this machine takes for a million of them at present. With `--count` it
prints, instead of any time, the functions with the most instructions in one call and in one piece of a stream; names of
subjects select them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

from zespan_serverless import exporters, flush, init, testing
from zespan_serverless.providers import ROOMS
from zespan_serverless.providers._call import begin
from zespan_serverless.providers._patch import patch

CALLS, ROUNDS, PIECES = 40, 60, 200
LARGE, MANY = 1_048_576, (1, 100, 10_000)
PACKAGE, SHOWN = "zespan_serverless", 40
QUESTION = "Answer briefly: " + "What's the weather in Bern today, and what will it be tomorrow?\n" * 24
ANSWER = "It's sunny in Bern. " * 24
USER: Any = {"role": "user", "content": QUESTION}
CALLED = {"id": "call", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
TURN: Any = [
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "call", "content": '{"degrees": 21, "wind": {"speed": 3}, "text": "sunny"}'},
]
USAGE = {"input_tokens": 80, "output_tokens": 40}
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 80, "completion_tokens": 40, "total_tokens": 120},
}
CHUNK = {
    **CHAT,
    "object": "chat.completion.chunk",
    "usage": None,
    "choices": [{"index": 0, "finish_reason": None, "delta": {"content": "Sunny. "}}],
}
TEXT = {"type": "output_text", "text": ANSWER, "annotations": []}
RESPONSE = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-mini",
    "output": [{"id": "o", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}],
    "usage": {**USAGE, "total_tokens": 120},
}
EVENT = {"type": "response.output_text.delta", "delta": "Sunny. ", "item_id": "o", "output_index": 0}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Sunny. "}}
CONTENT = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finish_reason": "STOP"}],
    "usage_metadata": {"prompt_token_count": 80, "candidates_token_count": 40, "total_token_count": 120},
    "model_version": "gemini-2.5-flash",
}
PART = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Sunny. "}]}}], "model_version": "gemini"}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": ANSWER}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 80, "outputTokens": 40, "totalTokens": 120},
}
BLOCK = {"contentBlockDelta": {"delta": {"text": "Sunny. "}, "contentBlockIndex": 0}}


class Discard(exporters.Exporter):
    """Encodes as for Zespan, and delivers to nobody."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Any:
        return exporters.Outcome("delivered")


class Subject:
    """A call as an SDK makes it, and its answer, to be passed through our wrappers without the SDK's work.

    `inner` is the class and the method of the SDK that receives the request, `outer` those above it that are traced as
    well. `streams` is what that method returns for a stream of `chunk`.
    """

    def __init__(
        self,
        module: str,
        inner: tuple[str, str],
        ask: Callable[[], Any],
        result: Any,
        chunk: Any,
        streams: Callable[[Any], Any],
        outer: tuple[str, str] | None = None,
    ) -> None:
        kind, name = inner
        owner = getattr(sys.modules[module], kind)
        original, seen = getattr(owner, name), list[Any]()

        def noted(*args: Any, **kwargs: Any) -> Any:
            seen.append((args, kwargs))
            return result

        setattr(owner, name, noted)
        ask()
        setattr(owner, name, original)
        self._args, self._kwargs = args, kwargs = seen[0]
        room: Any = importlib.import_module(f"{PACKAGE}.providers.{ROOMS[module]}")
        self._choke = next(choke for choke in room.CHOKES if kind in choke.classes and name in choke.methods)
        self._chunk, self._streams = chunk, streams

        def method(chokes: Any) -> Callable[[], Any]:
            lower: Any = type(kind, (), {name: lambda *_, **__: result})
            if outer is None:
                patch(SimpleNamespace(**{kind: lower}), chokes)  # type: ignore[arg-type]
                return partial(getattr(lower, name), *args, **kwargs)
            call = lambda *_, **__: getattr(lower, name)(*args, **kwargs)  # noqa: E731
            upper: Any = type(outer[0], (), {"_client": args[0], outer[1]: call})
            patch(SimpleNamespace(**{kind: lower, outer[0]: upper}), chokes)  # type: ignore[arg-type]
            return partial(getattr(upper, outer[1]), upper(), **args[2].json_data)

        self.bare, self.ours = method(()), method(room.CHOKES)

    def read(self, is_ours: bool) -> None:
        """Read a stream."""
        for _ in self._stream(iter([self._chunk] * PIECES), is_ours):
            pass

    def read_async(self, is_ours: bool) -> None:
        """Read an asynchronous stream."""
        asyncio.run(self._read_async(is_ours))

    async def _read_async(self, is_ours: bool) -> None:
        async for _ in self._stream(_later([self._chunk] * PIECES), is_ours):
            pass

    def _stream(self, chunks: Any, is_ours: bool) -> Any:
        result, read = self._streams(chunks)
        if is_ours:
            owner, *rest = self._args
            call: Any = begin(self._choke, None, owner, tuple(rest), self._kwargs)
            call.request.stream = True
            result = call.done(result, None)
        return read(result)


async def _later(chunks: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def _stainless(chunks: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return what a client of openai or anthropic returns for a stream, and how it is read."""

    async def aclose() -> None: ...

    stream = SimpleNamespace(_iterator=chunks, response=SimpleNamespace(close=lambda: None, aclose=aclose))
    return stream, lambda stream: stream._iterator


def _events(chunks: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return what botocore's method returns for a stream of events, and how it is read."""

    class Events:
        _event_generator = chunks

        def _parse_event(self, event: Any) -> Any:
            return event

        def __iter__(self) -> Iterator[Any]:
            for event in self._event_generator:
                parsed = self._parse_event(event)
                if parsed:
                    yield parsed

        async def __aiter__(self) -> AsyncIterator[Any]:
            async for event in self._event_generator:
                parsed = self._parse_event(event)
                if parsed:
                    yield parsed

    return {"stream": Events()}, lambda result: result["stream"]


def _openai(question: str = QUESTION, more: Sequence[Any] = ()) -> dict[str, Subject]:
    import openai
    from openai._models import construct_type
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseTextDeltaEvent

    client, inner = openai.OpenAI(api_key="k"), ("SyncAPIClient", "request")
    messages: Any = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": question},
        *more,
    ]
    return {
        "openai": Subject(
            "openai._base_client",
            inner,
            lambda: client.chat.completions.create(model="gpt-4o-mini", messages=messages),
            construct_type(type_=ChatCompletion, value=CHAT),
            construct_type(type_=ChatCompletionChunk, value=CHUNK),
            _stainless,
            outer=("Completions", "create"),
        ),
        "responses": Subject(
            "openai._base_client",
            inner,
            lambda: client.responses.create(model="gpt-4o-mini", instructions="Be brief.", input=question),
            construct_type(type_=Response, value=RESPONSE),
            construct_type(type_=ResponseTextDeltaEvent, value=EVENT),
            _stainless,
        ),
    }


def _anthropic() -> dict[str, Subject]:
    import anthropic
    from anthropic._models import construct_type
    from anthropic.types import Message, RawContentBlockDeltaEvent

    client = anthropic.Anthropic(api_key="k")
    return {
        "anthropic": Subject(
            "anthropic._base_client",
            ("SyncAPIClient", "request"),
            lambda: client.messages.create(model="claude-sonnet-5", max_tokens=99, system="Be brief.", messages=[USER]),
            construct_type(type_=Message, value=MESSAGE),
            construct_type(type_=RawContentBlockDeltaEvent, value=DELTA),
            _stainless,
        )
    }


def _google() -> dict[str, Subject]:
    from google import genai
    from google.genai.types import GenerateContentResponse

    client = genai.Client(api_key="k")
    return {
        "google": Subject(
            "google.genai.models",
            ("Models", "_generate_content"),
            lambda: client.models.generate_content(model="gemini-2.5-flash", contents=QUESTION),
            GenerateContentResponse.model_validate(CONTENT),
            GenerateContentResponse.model_validate(PART),
            lambda chunks: (chunks, lambda stream: stream),
        )
    }


def _bedrock() -> dict[str, Subject]:
    import boto3

    client = boto3.client("bedrock-runtime", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
    said: Any = [{"role": "user", "content": [{"text": QUESTION}]}]
    return {
        "bedrock": Subject(
            "botocore.client",
            ("BaseClient", "_make_api_call"),
            lambda: client.converse(modelId="amazon.nova-lite-v1:0", messages=said, system=[{"text": "Be brief."}]),
            CONVERSE,
            BLOCK,
            _events,
        )
    }


SDKS = (_openai, _anthropic, _google, _bedrock)


def fastest(*ways: Callable[[], Any], count: int, rounds: int) -> list[float]:
    """Microseconds of CPU that this thread spends on each of the ways, in the fastest of all rounds."""
    best = [float("inf")] * len(ways)
    for _ in range(rounds):
        for number, way in enumerate(ways):
            began = time.thread_time_ns()
            for _ in range(count):
                way()
            best[number] = min(best[number], (time.thread_time_ns() - began) / count / 1000)
        flush(5)
    return best


def instructions(call: Callable[[], Any]) -> Counter[CodeType]:
    """Bytecode instructions of one call, by function."""
    counts: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        counts[frame.f_code] += event == "opcode"
        return trace

    call()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return counts


def table(counts: Counter[CodeType], count: int = 1) -> str:
    """Return the package's functions with the most instructions, each per one of `count`."""
    ours = [(code, number) for code, number in counts.most_common() if f"{PACKAGE}/" in code.co_filename]
    lines = [f"{sum(number for _, number in ours) / count:8.0f} in the whole package"]
    for code, number in ours[:SHOWN]:
        file = code.co_filename.rpartition(f"{PACKAGE}/")[2]
        lines.append(f"{number / count:8.0f} {file}:{code.co_firstlineno} {code.co_qualname}")
    return "\n".join(lines)


def report(subject: Subject) -> str:
    """Return the figures of one SDK."""
    bare, ours = fastest(subject.bare, subject.ours, count=CALLS, rounds=ROUNDS)
    counted = instructions(subject.ours).total() - instructions(subject.bare).total()
    told = f"{ours - bare:6.1f} us a call ({counted} instructions)"
    for kind, read in (("piece", subject.read), ("asynchronous piece", subject.read_async)):
        ways = partial(read, False), partial(read, True)
        unread, seen = fastest(*ways, count=1, rounds=ROUNDS)
        pieces = sum(way * instructions(one).total() for way, one in zip((-1, 1), ways, strict=True))
        told += f", {(seen - unread - ours) / PIECES:5.2f} us a {kind} ({(pieces - counted) / PIECES:.0f})"
    return told


def clock() -> float:
    """Return milliseconds for a million instructions of the simplest kind."""
    loop = compile("for _ in range(100_000): pass", "", "exec")
    return fastest(lambda: exec(loop), count=1, rounds=ROUNDS)[0] / 1000 / (100_000 * 3) * 1_000_000


def large() -> str:
    """Return the figures of calls of openai with a prompt of 1 MB, and with the messages of eight tool calls."""
    figures = []
    for asked in (_openai(QUESTION * (LARGE // len(QUESTION))), _openai(more=TURN * 8)):
        bare, ours = fastest(asked["openai"].bare, asked["openai"].ours, count=1, rounds=ROUNDS)
        figures.append((ours - bare) / 1000)
    return "{:6.1f} ms a call with a prompt of 1 MB, {:.3f} ms after eight tool calls".format(*figures)


def many(subject: Subject) -> str:
    """Return microseconds of a call by the number of calls before they are sent."""
    figures = []
    for count in MANY:
        bare, ours = fastest(subject.bare, subject.ours, count=count, rounds=max(3, 1_000 // count))
        figures.append(f"{ours - bare:.1f} us with {count:,}")
    return f"  a call: {', '.join(figures)} before they are sent"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_calls")
    parser.add_argument("subjects", nargs="*", help="openai, responses, anthropic, google, bedrock; default: all")
    parser.add_argument("--count", action="store_true", help="print instructions by function instead of times")
    given = parser.parse_args()
    for journal in ("off", tempfile.mkdtemp()):
        testing.reset()
        init(exporter=Discard(), journal=journal, max_events=100_000)
        which = "off" if journal == "off" else "on"
        for name, subject in {name: one for sdk in SDKS for name, one in sdk().items()}.items():
            if given.subjects and name not in given.subjects:
                continue
            if given.count:
                call, pieces = instructions(subject.ours), instructions(partial(subject.read, True))
                print(f"{name}, journal {which}, a call\n{table(call)}")
                print(f"{name}, a piece\n{table(pieces - call, PIECES)}")
                continue
            print(f"{name:10} journal {which:4} {report(subject)}, clock {clock():.1f} ms", flush=True)
            if name == "openai":
                print(f"{name:10} journal {which:4} {large()}\n{many(subject)}", flush=True)


if __name__ == "__main__":
    main()
