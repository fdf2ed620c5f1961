"""What this package sends, in each of its formats, and what cannot be read."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
from zespan_serverless_dev import ingest
from zespan_serverless_dev.ingest import BadBody
from zespan_serverless_dev.ingest.body import DEPTH_MAX, UNPACKED_MAX
from zespan_serverless_dev.server import DevServer

from tests.dev.server.support import ask, event
from tests.exporters.otlp import support
from zespan_serverless._process.container import build_exporter
from zespan_serverless.settings import Settings

CALL_FIELDS = {
    "trace_id": support.TRACE,
    "span_id": support.CALL,
    "parent_span_id": support.ROOT,
    "kind": "llm",
    "provider": "openai",
    "input_tokens": 100,
    "output_tokens": 40,
    "cached_tokens": 64,
    "reasoning_tokens": 8,
    "cache_write_tokens": 16,
    "cost_usd": 0.0015,
    "first_token_ms": 25.0,
    "user_id": "u-1",
    "status": "ok",
    "start": 1_700_000_000_150.0,
    "end": 1_700_000_000_250.0,
    "is_root": False,
}
ROOT_FIELDS = {
    "trace_id": support.TRACE,
    "span_id": support.ROOT,
    "parent_span_id": None,
    "kind": "invocation",
    "instance": "log-stream",
    "request_id": "r-1",
    "start": 1_700_000_000_000.0,
    "end": 1_700_000_000_250.0,
    "is_root": True,
    "start_kind": "cold",
}


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


@pytest.mark.parametrize("format", ["zespan", "carbon", "otlp in protobuf", "otlp in json"])
def test_the_same_records_in_each_format(dev: DevServer, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    """An invocation, a call and a tool are the same spans, whichever exporter of the package has sent them."""
    name = format.split(" ")[0]
    monkeypatch.setenv("CARBON_API_KEY", "k")
    if name == "otlp":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json" if "json" in format else "http/protobuf")
    exporter = build_exporter(Settings(exporter=name, base_url=dev.url, api_key="zsp_local"))
    step = support.step("tool", "look up", tool="weather", arguments={"city": "Paris"}, result="rain")
    root = support.root()
    root.attributes = {**root.attributes, "start_kind": "cold"}
    step.span_id = "3" * 16
    assert exporter.send([exporter.encode(one) for one in (support.call(), step, root)], 10).verdict == "delivered"
    exporter.close()
    spans = {span["span_id"]: span for span in dev.get(f"trace/{support.TRACE}")["spans"]}
    with dev.runs.current.reading() as db:
        kept = {row["span_id"]: ingest.span_of(row["format"], row["raw"]) for row in db.execute("SELECT * FROM spans")}
    found = {field: getattr(kept[support.CALL], field) for field in CALL_FIELDS}
    assert found == CALL_FIELDS
    expected = {**ROOT_FIELDS, "start_kind": kept[support.ROOT].start_kind}
    assert {field: getattr(kept[support.ROOT], field) for field in ROOT_FIELDS} == expected
    assert kept[support.ROOT].start_kind == "cold"
    call = spans[support.CALL]
    assert call["input"][-1] == {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}
    assert call["input"][0] == {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    (answer,) = call["output"]
    assert [part["type"] for part in answer["parts"]] == ["text", "tool_call"]
    assert answer["parts"][1]["arguments"] == {"city": "Paris"}
    tool = spans["3" * 16]
    assert (tool["kind"], tool["name"]) == ("tool", "look up")
    assert (json.loads(tool["input"]), tool["output"]) == ({"city": "Paris"}, "rain")
    assert call["attributes"]["tag.team"] == "search"


@pytest.mark.parametrize(("kind", "code"), [("SPAN_KIND_SERVER", "STATUS_CODE_ERROR"), (2, 2)])
def test_otlp_names_or_numbers_of_enumerations(kind: object, code: object) -> None:
    """JSON may have the number of a kind or of a status, as OTLP asks, or its name, as protobuf's own JSON has it."""
    found = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "POST /chat", "kind": kind, "status": {"code": code}}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [found]}]}]}).encode()
    (span,) = ingest.spans_in("/v1/traces", "application/json", body)
    assert (span.kind, span.status) == ("invocation", "error")


BAD = {
    "no JSON": b"no",
    "a list of texts": b'["a"]',
    "no object": b"7",
    "no span": b'{"event_id": {}, "events": [{}], "resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x"}]}]}]}',
    "gzip that ends early": gzip.compress(b"x" * 1000)[:20],
    "gzip that is none": b"\x1f\x8bnothing",
    "deep JSON": b"[" * 5000 + b"]" * 5000,
    "deep JSON in an event": b'{"event_id": "e", "metadata": ' + b'{"a":' * 200 + b"1" + b"}" * 201,
    "a number of many digits": b'{"event_id": "e", "latency_ms": ' + b"9" * 5000 + b"}",
    "half an event": json.dumps(event()).encode()[:50],
}


@pytest.mark.parametrize("path", ingest.PATHS)
def test_bodies_that_cannot_be_read(dev: DevServer, path: str) -> None:
    """Each is answered 400 with a reason, their deliveries have no events, and the server goes on."""
    for name, body in BAD.items():
        reply = ask(dev, "POST", path, body, {"content-type": "application/json"})
        assert (name, reply.status) == (name, 400)
        assert reply.json()["error"]
    assert ask(dev, "POST", "/v1/ingest", json.dumps(event()).encode()).status == 200
    summary = dev.get("summary")
    assert (summary["events"], summary["deliveries"]) == (1, len(BAD) + 1)


def test_garbage_as_protobuf(dev: DevServer) -> None:
    """Bytes that are no protobuf are answered 400."""
    reply = ask(dev, "POST", "/v1/traces", b"\xff" * 50, {"content-type": "application/x-protobuf"})
    assert reply.status == 400


def test_a_body_that_unpacks_to_too_much() -> None:
    """A small body that would unpack to gigabytes is refused before it does."""
    bomb = gzip.compress(b" " * (UNPACKED_MAX + 1), 1)
    with pytest.raises(BadBody, match="smaller batches"):
        ingest.unpacked(bomb)


@pytest.mark.parametrize("body", [b"1\n" * 2_000_000, b'{"event_id":"e","metadata":[' + b"[]," * 1_000_000 + b"0]}"])
def test_a_body_that_becomes_many_objects(body: bytes) -> None:
    """Kilobytes of gzip that would become gigabytes of objects are refused before they do."""
    tracemalloc.start()
    try:
        with pytest.raises(BadBody):
            ingest.spans_in("/v1/ingest", "", gzip.compress(body, 1))
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


def test_large_bodies_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many that come at once take no more memory than one."""
    here, most = [0], [0]

    def read(_: bytes) -> list[Any]:
        here[0] += 1
        most[0] = max(most[0], here[0])
        time.sleep(0.05)
        here[0] -= 1
        return []

    monkeypatch.setattr(ingest.zespan, "read", read)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda size: ingest.spans_in("/v1/ingest", "", b" " * size), [ingest.LARGE + 1] * 4))
        assert most == [1]


@pytest.mark.parametrize(
    ("encoding", "pack", "status"),
    [("gzip", gzip.compress, 200), ("deflate", zlib.compress, 200), ("gzip", bytes, 200), ("br", bytes, 400)],
)
def test_compressed_bodies_are_read(dev: DevServer, encoding: str, pack: Callable[[bytes], bytes], status: int) -> None:
    """Bodies may be packed as OpenTelemetry's exporters can; of another encoding the answer says what is possible."""
    reply = ask(dev, "POST", "/v1/ingest", pack(json.dumps(event()).encode()), {"content-encoding": encoding})
    assert reply.status == status
    assert status == 200 or "send gzip" in reply.json()["error"]


def test_gzip_of_several_members(dev: DevServer) -> None:
    """A body may be several gzip files, one after the other: what is answered 200 is kept whole, and never in part."""
    first, second = (gzip.compress(json.dumps(event()).encode() + b"\n") for _ in range(2))
    assert ask(dev, "POST", "/v1/ingest", first + second + b"\0\0").status == 200
    assert dev.get("summary")["events"] == 2
    for rest in (second[:-9], b"more", gzip.compress(b"") * 1001):
        assert ask(dev, "POST", "/v1/ingest", first + rest).status == 400
    with pytest.raises(BadBody, match="smaller batches"):
        ingest.unpacked(first + gzip.compress(b" " * UNPACKED_MAX, 1))


def test_brackets_in_texts_are_not_depth() -> None:
    """A prompt may have any number of brackets; only objects within each other count."""
    text = "[{" * DEPTH_MAX + '\\"'
    (span,) = ingest.spans_in("/v1/ingest", "", json.dumps(event(prompt_text=text)).encode())
    assert span.name == "chat"


def test_numbers_that_are_none() -> None:
    """NaN, infinity and numbers beyond 64 bits become nothing, and what is kept can be read again."""
    body = json.dumps(event(latency_ms=float("nan"), cost_usd=float("inf"), input_tokens=2**70, ttft_ms=-(2**70)))
    body = body[:-1] + ', "metadata": {"large": 1e999}, "tool_call_args": "{\\"tool\\": 1e999}"}'
    (span,) = ingest.spans_in("/v1/ingest", "", body.encode())
    assert (span.start, span.cost_usd, span.input_tokens, span.first_token_ms) == (span.end, None, None, None)
    kept = json.loads(json.dumps(ingest.event_of(span.raw), allow_nan=False))
    assert (kept["cost_usd"], kept["metadata"]) == (None, {"large": None})
    shown = json.loads(json.dumps(ingest.details(span.format, span.raw), allow_nan=False))
    assert shown["output"][0]["parts"][1]["arguments"] is None


def test_deep_json_in_a_text() -> None:
    """Arguments of a tool that are JSON of any depth can be shown, and are cut."""
    for deep in ("[" * 900 + "]" * 900, "[" * 90_000 + "]" * 90_000):
        prompt = json.dumps([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": deep}}]}])
        body = json.dumps(event(prompt_text=prompt, tool_call_args=json.dumps({"f": deep})))
        (span,) = ingest.spans_in("/v1/ingest", "", body.encode())
        assert json.dumps(ingest.details(span.format, span.raw)).count("[") < 250_000


def test_several_events_in_one_list() -> None:
    """Events may come in a list, or below `events`, as well as one a line."""
    events = [event(), event()]
    for document in (events, {"events": events}):
        assert len(ingest.spans_in("/v1/ingest", "", json.dumps(document).encode())) == 2


FEW = hypothesis.settings(max_examples=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = [*event(), "metadata", "tags", "tool_definitions", "tool_call_args", "system_prompt", "ttft_ms"]


@FEW
@hypothesis.given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_values_in_an_event(fields: dict[str, Any]) -> None:
    """Whatever an event's fields are, it is a span that can be stored and shown, or a reason why not."""
    body = json.dumps({**event(), **fields})
    _read_and_show("/v1/ingest", body)


CARBON = [
    *("id", "type", "startTimeMs", "endTimeMs", "durationMs", "status", "instrumentation", "context"),
    *("additionalProperties", "properties", "traceId"),
]


@FEW
@hypothesis.given(
    st.dictionaries(st.sampled_from(CARBON), JSON | st.dictionaries(st.sampled_from(["llm", "tool"]), JSON))
)
def test_any_values_in_an_event_of_carbons(fields: dict[str, Any]) -> None:
    """As above, for Carbon's events."""
    _read_and_show("/v1/ingest-events", json.dumps({"events": [{"id": "e-1", **fields}]}))


OTLP = ["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "status", "events"]
ATTRIBUTES = [
    *("gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.usage.input_tokens", "gen_ai.prompt.0.content"),
    *("llm.tools.0.tool.json_schema", "llm.input_messages.0.message.role", "llm.input_messages.0.message.content"),
]
VALUE = st.fixed_dictionaries(
    {}, optional={"stringValue": JSON, "intValue": JSON, "arrayValue": JSON, "kvlistValue": JSON, "boolValue": JSON}
)


@FEW
@hypothesis.given(
    st.dictionaries(st.sampled_from(OTLP), JSON),
    st.lists(st.fixed_dictionaries({"key": st.sampled_from(ATTRIBUTES), "value": VALUE}), max_size=6),
)
def test_any_values_in_a_span_of_otlp(fields: dict[str, Any], attributes: list[Any]) -> None:
    """As above, for OTLP's spans."""
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "x", **fields, "attributes": attributes}
    _read_and_show("/v1/traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))


def _read_and_show(path: str, body: str) -> None:
    from zespan_serverless_dev.store import schema, telemetry, trace

    try:
        spans = ingest.spans_in(path, "application/json", body.encode("utf-8", "surrogatepass"))
    except BadBody:
        return
    import sqlite3

    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    db.executescript(schema.SCHEMA)
    telemetry.add_delivery(db, telemetry.Delivery(1, 0.0, path, len(body), 200, 0.0, None, spans))
    for span in spans:
        json.dumps(trace.trace(db, span.trace_id), allow_nan=False)
        json.dumps(trace.event(db, span.event_id), allow_nan=False)
        assert ingest.span_of(span.format, span.raw).event_id == span.event_id
    db.close()
