"""Measures the cost of tracing one model call, with and without a journal: `python -m tools.bench_calls`.

One call is made by the SDK's real client, whose HTTP transport answers from memory. The arguments and the result of the
SDK's method then pass repeatedly through the package's wrapper, and through none: the difference is the package's
share, without the SDK's far longer work and its variation. Both alternate in short rounds; a round's figure is the CPU
time of the calling thread, and the fastest round counts, because other work on the machine only ever adds.

`instructions` counts Python's bytecode instructions in that, including the SDK's code that the package calls: they do
not depend on the machine. `clock` is how long this machine takes for a million of them at present. With `--count` it
prints, instead of any time, the functions with the most instructions in one call and in one piece of a stream.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

from zespan_serverless import exporters, flush, init, testing
from zespan_serverless.providers._call import begin
from zespan_serverless.providers._patch import patch
from zespan_serverless.providers._stream import StreamReader

CALLS, ROUNDS, PIECES = 40, 40, 200
PACKAGE, SHOWN = "zespan_serverless", 40
MESSAGES: Any = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What is the weather in Bern? " * 10},
]
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Sunny. " * 20}},
    ],
    "usage": {"prompt_tokens": 80, "completion_tokens": 40, "total_tokens": 120},
}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "Sunny. " * 20}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 80, "output_tokens": 40},
}
CHUNK = {**CHAT, "object": "chat.completion.chunk", "usage": None}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Sunny. "}}


class Discard(exporters.Exporter):
    """Encodes as for Zespan, and delivers to nobody."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Any:
        return exporters.Outcome("delivered")


def _lines(pieces: list[Any]) -> bytes:
    named = [(f"event: {one['type']}\n" if "type" in one else "") + f"data: {json.dumps(one)}\n\n" for one in pieces]
    return "".join([*named, "data: [DONE]\n\n"]).encode()


def _openai_stream() -> bytes:
    delta = {"index": 0, "finish_reason": None, "delta": {"content": "Sunny. "}}
    return _lines([{**CHUNK, "choices": [delta]}] * PIECES)


def _anthropic_stream() -> bytes:
    start = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
    opened = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    closed = {"type": "content_block_stop", "index": 0}
    return _lines([start, opened, *[TEXT] * PIECES, closed, {"type": "message_stop"}])


def _client(package: str, kind: str, whole: Any, streamed: bytes) -> Any:
    """Return a client whose transport answers from memory. The SDKs are built on httpx or on httpx2."""
    sdk: Any = importlib.import_module(package)
    http: Any = sys.modules[sdk.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    body = json.dumps(whole).encode()

    def answer(request: Any) -> Any:
        is_stream = b'"stream":true' in request.content.replace(b" ", b"")
        head = {"content-type": "text/event-stream" if is_stream else "application/json"}
        return http.Response(200, headers=head, content=streamed if is_stream else body)

    return getattr(sdk, kind)(api_key="k", http_client=http.Client(transport=http.MockTransport(answer)))


def subjects() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """SDK -> a call with an answer, and one with a stream."""
    openai = _client("openai", "OpenAI", CHAT, _openai_stream())
    anthropic = _client("anthropic", "Anthropic", MESSAGE, _anthropic_stream())
    chat: Any = {"model": "gpt-4o-mini", "messages": MESSAGES}
    message: Any = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": MESSAGES[1:]}

    return {
        "openai": (
            lambda: openai.chat.completions.create(**chat),
            lambda: openai.chat.completions.create(**chat, stream=True),
        ),
        "anthropic": (
            lambda: anthropic.messages.create(**message),
            lambda: anthropic.messages.create(**message, stream=True),
        ),
    }


class Again:
    """A request as the SDK has made it, and its answer, to be passed through our wrappers without the SDK's work."""

    def __init__(self, package: str, ask: Callable[[], Any], stream: Callable[[], Any]) -> None:
        client = sys.modules[f"{package}._base_client"].SyncAPIClient
        seen: list[Any] = []
        original = client.request

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            seen.append((args, kwargs, result))
            return result

        client.request = noted
        ask()
        chunks = [*stream()]
        client.request = original
        (args, kwargs, result), (self.stream_args, self.stream_kwargs, _) = seen
        self.chunks = chunks * (PIECES // len(chunks) + 1)

        room: Any = importlib.import_module(f"zespan_serverless.providers.{package}")
        self.choke = next(choke for choke in room.CHOKES if "SyncAPIClient" in choke.classes)

        def method(chokes: Any) -> Callable[[], Any]:
            class SyncAPIClient:
                def request(self, *args: Any, **kwargs: Any) -> Any:
                    return result

            class Completions:
                _client = args[0]

                def create(self, **asked: Any) -> Any:
                    return SyncAPIClient.request(*args, **kwargs)

            module: Any = SimpleNamespace(SyncAPIClient=SyncAPIClient, Completions=Completions)
            patch(module, chokes)
            return partial(Completions.create, Completions(), **args[2].json_data)

        self.bare, self.ours = method(()), method(room.CHOKES)

    def read(self, is_ours: bool) -> None:
        """Read a stream's chunks."""
        chunks = iter(self.chunks)
        if is_ours:
            owner, *args = self.stream_args
            call: Any = begin(self.choke, None, owner, tuple(args), self.stream_kwargs)
            call.pause()
            chunks = StreamReader(call, chunks)
        for _ in chunks:
            pass


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


def report(again: Again) -> str:
    """Return the figures of one SDK."""
    bare, ours = fastest(again.bare, again.ours, count=CALLS, rounds=ROUNDS)
    unread, read = fastest(lambda: again.read(False), lambda: again.read(True), count=1, rounds=ROUNDS)
    call, pieces = instructions(again.ours).total(), instructions(lambda: again.read(True)).total()
    return (
        f"{ours - bare:6.1f} us a call ({call} instructions),"
        f" {(read - unread - (ours - bare)) / len(again.chunks):5.2f} us a piece"
        f" ({(pieces - call) / len(again.chunks):.0f} instructions)"
    )


def clock() -> float:
    """Return milliseconds for a million instructions of the simplest kind."""
    loop = compile("for _ in range(100_000): pass", "", "exec")
    return fastest(lambda: exec(loop), count=1, rounds=ROUNDS)[0] / 1000 / (100_000 * 3) * 1_000_000


def main() -> None:
    """Print the figures."""
    calls = subjects()
    for journal in ("off", tempfile.mkdtemp()):
        testing.reset()
        init(exporter=Discard(), journal=journal, max_events=100_000)
        for name, (ask, stream) in calls.items():
            again, which = Again(name, ask, stream), "off" if journal == "off" else "on"
            if "--count" in sys.argv:
                call, pieces = instructions(again.ours), instructions(partial(again.read, True))
                print(f"{name}, journal {which}, a call\n{table(call)}")
                print(f"{name}, a piece\n{table(pieces, len(again.chunks))}")
                continue
            told = report(again)
            print(f"{name:10} journal {which:4} {told}, clock {clock():.1f} ms")


if __name__ == "__main__":
    main()
