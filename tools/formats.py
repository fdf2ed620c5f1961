"""What an event costs in each format: `python -m tools.formats` prints the tables of docs/backends.md.

Bytes of one event in a batch of 50, as they are and with gzip; the bytecode instructions that encoding the event and
building its part of the request take, which do not depend on the machine; and the CPU time on this one, of the fastest
of several rounds. The events are model calls with a system prompt, a question of 60 words, a tool, an answer of
120 words and tokens; the words are drawn at random from 300, so that gzip finds about as much as in prose.

The last rows of the first table are OpenTelemetry's own exporters with the same span, in the environment that has them
(`python -m tests.environments otlp`): its attributes are the ones that ours has in OTLP. The second table has requests
of one, 50 and 500 events, with gzip at two levels.
"""

from __future__ import annotations

import functools
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

BATCH, LARGEST, ROUNDS = 50, 500, 30
LEVELS = (1, 6)  # of gzip: the package's, and that of most tools
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
    packed = _packed(body, 1)
    zipping = microseconds(lambda: _packed(body, 1))
    cells = (len(body) / BATCH, len(packed) / BATCH, instructions(work) / BATCH, microseconds(work) / BATCH)
    return f"| {name} | {cells[0]:,.0f} | {cells[1]:,.0f} | {cells[2]:,.0f} | {cells[3]:.0f} | {zipping / BATCH:.0f} |"


def calls(count: int = BATCH) -> list[Any]:
    """Records of model calls, which are the same in every process."""
    from tests.exporters.otlp import support

    chance = random.Random(1)
    letters = "etaoinshrdlucmfwypvbg"
    words = ["".join(chance.choices(letters, k=chance.randrange(2, 10))) for _ in range(300)]
    made = []
    for _ in range(count):
        record: Any = support.call()
        record.event_id = f"{chance.getrandbits(128):032x}"
        record.span_id = f"{chance.getrandbits(64):016x}"
        record.model.prompt.messages[0]["content"] = " ".join(chance.choices(words, k=60))
        record.model.answer.text = " ".join(chance.choices(words, k=120))
        made.append(record)
    return made


def bodies(records: Sequence[Any]) -> dict[str, Callable[[], bytes]]:
    """Return for each of the package's formats what makes the body of a request with these records."""
    from tests.exporters.otlp import support
    from zespan_serverless.exporters import carbon
    from zespan_serverless.exporters._event import encoded
    from zespan_serverless.exporters.otlp import _json, _protobuf
    from zespan_serverless.exporters.otlp._attributes import flattened
    from zespan_serverless.exporters.otlp._records import span_of
    from zespan_serverless.exporters.otlp._resource import attributes_of

    resource = flattened(attributes_of(support.resource(), {}))

    carbons = carbon.CarbonExporter("key")

    def otlp(encoding: Any) -> Callable[[], bytes]:
        scope = ("zespan_serverless", "1.0.0")
        return lambda: encoding.wrap([encoding.encode(span_of(record)) for record in records], resource, scope)

    return {
        "`zespan`": lambda: b"\n".join([encoded(record) for record in records]),
        "`carbon`, which is not compressed": lambda: carbons.body_of([carbons.encode(one) for one in records]),
        "`otlp`, protobuf": otlp(_protobuf),
        "`otlp`, JSON": otlp(_json),
    }


def ours() -> list[str]:
    """Return one row for each of the package's formats."""
    return [row(name, work) for name, work in bodies(calls()).items()]


def sizes() -> list[str]:
    """Return a row for each format with the bytes of an event in requests of several sizes, and the time of gzip."""
    made = {count: {name: work() for name, work in bodies(calls(count)).items()} for count in (1, BATCH, LARGEST)}
    made = {count: {**of, "`zespan`, without nulls": _without_nulls(of["`zespan`"])} for count, of in made.items()}
    rows = []
    for name in made[1]:
        cells = [f"{len(made[count][name]) / count:,.0f}" for count in made]
        for level in LEVELS:
            cells += [f"{len(_packed(made[count][name], level)) / count:,.0f}" for count in made]
        largest = made[LARGEST][name]
        times = [microseconds(functools.partial(_packed, largest, level)) / LARGEST for level in LEVELS]
        rows.append(f"| {' | '.join([name, *cells, *(f'{time:.0f}' for time in times)])} |")
    return rows


def _packed(body: bytes, level: int) -> bytes:
    return zlib.compress(body, level=level, wbits=31)


def _without_nulls(body: bytes) -> bytes:
    """Return NDJSON without the fields that are null, to show what leaving them out would save."""
    kept = [
        {name: value for name, value in json.loads(line).items() if value is not None} for line in body.split(b"\n")
    ]
    return b"\n".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in kept)


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
    print()
    heads = [
        f"{title}{count}" for title in ("", *(f"gzip {level}: " for level in LEVELS)) for count in (1, BATCH, LARGEST)
    ]
    print(f"| events in a request | {' | '.join([*heads, *(f'µs of gzip {level}' for level in LEVELS)])} |")
    print("| --- |" + " ---: |" * (len(heads) + len(LEVELS)))
    print("\n".join(sizes()))


if __name__ == "__main__":
    main()
