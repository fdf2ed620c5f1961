"""What an event costs in each format: `python -m tools.formats` prints the table of docs/backends.md.

Bytes of one event in a batch of 50, as they are and with gzip; the bytecode instructions that encoding the event and
building its part of the request take, which do not depend on the machine; and the CPU time on this one, of the fastest
of several rounds. The events are model calls with a system prompt, a question of 60 words, a tool, an answer of
120 words and tokens; the words are drawn at random from 300, so that gzip finds about as much as in prose.

The last rows are OpenTelemetry's own exporters with the same span, in the environment that has them (`python -m
tests.environments otlp`): its attributes are the ones that ours has in OTLP.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

BATCH, ROUNDS = 50, 30
ROOT = Path(__file__).parents[1]


def instructions(work: Callable[[], object]) -> int:
    """Bytecode instructions of a function and all that it calls, but not of what is written in C."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def microseconds(work: Callable[[], object]) -> float:
    """CPU time of the fastest round."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        work()
        rounds.append(time.process_time_ns() - began)
    return min(rounds) / 1000


def row(name: str, work: Callable[[], bytes]) -> str:
    """Return a row of the table. `work` makes the body of a request with `BATCH` events."""
    body = work()  # what is imported or cached the first time is not the event's
    packed = zlib.compress(body, level=1, wbits=31)
    zipping = microseconds(lambda: zlib.compress(body, level=1, wbits=31))
    cells = (len(body) / BATCH, len(packed) / BATCH, instructions(work) / BATCH, microseconds(work) / BATCH)
    return f"| {name} | {cells[0]:,.0f} | {cells[1]:,.0f} | {cells[2]:,.0f} | {cells[3]:.0f} | {zipping / BATCH:.0f} |"


def calls() -> list[Any]:
    """Records of model calls, which are the same in every process."""
    from tests.exporters.otlp import support

    chance = random.Random(1)
    letters = "etaoinshrdlucmfwypvbg"
    words = ["".join(chance.choices(letters, k=chance.randrange(2, 10))) for _ in range(300)]
    made = []
    for _ in range(BATCH):
        record: Any = support.call()
        record.event_id = f"{chance.getrandbits(128):032x}"
        record.span_id = f"{chance.getrandbits(64):016x}"
        record.model.prompt.messages[0]["content"] = " ".join(chance.choices(words, k=60))
        record.model.answer.text = " ".join(chance.choices(words, k=120))
        made.append(record)
    return made


def ours() -> list[str]:
    """Return one row for each of the package's formats."""
    from tests.exporters.otlp import support
    from zespan_serverless.exporters import carbon
    from zespan_serverless.exporters._event import encoded
    from zespan_serverless.exporters.otlp import _json, _protobuf
    from zespan_serverless.exporters.otlp._attributes import flattened
    from zespan_serverless.exporters.otlp._records import span_of
    from zespan_serverless.exporters.otlp._resource import attributes_of

    records = calls()
    resource = flattened(attributes_of(support.resource(), {}))

    carbons = carbon.CarbonExporter("key")

    def otlp(encoding: Any) -> Callable[[], bytes]:
        scope = ("zespan_serverless", "1.0.0")
        return lambda: encoding.wrap([encoding.encode(span_of(record)) for record in records], resource, scope)

    return [
        row("`zespan`", lambda: b"\n".join([encoded(record) for record in records])),
        row("`carbon`, which is not compressed", lambda: carbons.body_of([carbons.encode(one) for one in records])),
        row("`otlp`, protobuf", otlp(_protobuf)),
        row("`otlp`, JSON", otlp(_json)),
    ]


def official() -> list[str]:
    """Return the rows of OpenTelemetry's exporters; called by the interpreter that has them."""
    from zespan_serverless.exporters.otlp._records import span_of

    sdk: Any = import_module("opentelemetry.sdk.trace")
    memory: Any = import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    simple: Any = import_module("opentelemetry.sdk.trace.export").SimpleSpanProcessor
    provider = sdk.TracerProvider()
    provider.add_span_processor(simple(memory))
    for mine in map(span_of, calls()):
        with provider.get_tracer("zespan_serverless", "1.0.0").start_as_current_span(mine.name) as span:
            span.set_attributes(mine.attributes)
    spans: Sequence[Any] = memory.get_finished_spans()
    encode: Any = import_module("opentelemetry.exporter.otlp.proto.common.trace_encoder").encode_spans
    to_json: Any = import_module("opentelemetry.exporter.otlp.json.common.trace_encoder").encode_spans
    return [
        row("OpenTelemetry's, protobuf", lambda: bytes(encode(spans).SerializePartialToString())),
        row("OpenTelemetry's, JSON", lambda: str(to_json(spans).to_json()).encode()),
    ]


def main() -> None:
    if sys.argv[1:] == ["official"]:
        print(json.dumps(official()))
        return
    print("| format | bytes | with gzip | instructions | µs | µs of gzip |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(ours()))
    from tests import environments

    python = environments.python_of("otlp", "opentelemetry")
    if python is not None:
        command = [str(python), "-m", "tools.formats", "official"]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        print("\n".join(json.loads(printed)))


if __name__ == "__main__":
    main()
