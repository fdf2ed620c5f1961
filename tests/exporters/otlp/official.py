"""OpenTelemetry's SDK and exporters, to compare with: run by an environment that has them.

`equal`: spans of the SDK's, encoded by its exporters and by us: the same bytes in protobuf, the same document in JSON.
`parse FILE`: a request in protobuf as JSON, and whether it is written as protobuf's own library writes it.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from zespan_serverless.exporters.otlp import _json, _protobuf
from zespan_serverless.exporters.otlp._span import Span

ATTRIBUTES: dict[str, Any] = {
    "text": "Grüße 🎉",
    "empty": "",
    "yes": True,
    "no": False,
    "one": 1,
    "zero": 0,
    "minus": -1,
    "large": 2**63 - 1,
    "small": -(2**63),
    "pi": 3.25,
    "nothing": 0.0,
    "texts": ["a", "", "ü"],
    "numbers": [1, 0, -7, 2**40],
    "floats": [0.5, -0.0],
    "switches": [True, False],
    "none": [],
    "long": "x" * 20_000,
    "k" * 200: "v" * 127,
    "v128": "v" * 128,
}
RESOURCE = {"service.name": "search", "faas.max_memory": 134_217_728}
SCOPE = ("zespan_serverless", "1.2.3")


def sdk_spans() -> list[Any]:
    """Return spans as the SDK makes them: every kind, status, events, links, a remote parent, and `tracestate`."""
    api: Any = import_module("opentelemetry.trace")
    sdk: Any = import_module("opentelemetry.sdk.trace")
    export: Any = import_module("opentelemetry.sdk.trace.export")
    memory: Any = import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    resource: Any = import_module("opentelemetry.sdk.resources").Resource(RESOURCE)
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.SimpleSpanProcessor(memory))
    tracer = provider.get_tracer(*SCOPE)
    state = api.TraceState([("vendor", "ab"), ("other", "1")])
    remote = api.SpanContext(
        int("0af7651916cd43dd8448eb211c80319c", 16), 0x00F067AA0BA902B7, True, api.TraceFlags(1), state
    )
    around = api.set_span_in_context(api.NonRecordingSpan(remote))
    for kind in api.SpanKind:
        with tracer.start_as_current_span(f"ein Schritt {kind.name}", around, kind, ATTRIBUTES):
            with tracer.start_as_current_span("", links=[api.Link(remote, {"why": "batch"})]) as inner:
                inner.add_event("exception", {"exception.message": "boom"}, timestamp=1_700_000_000_000_000_001)
                inner.set_status(api.StatusCode.ERROR, "boom")
            with tracer.start_as_current_span("inner") as inner:
                inner.set_status(api.StatusCode.OK)
    return list(memory.get_finished_spans())


def ours(span: Any) -> Span:
    """Return the same span in our words."""
    context = span.get_span_context()
    made = Span(f"{context.trace_id:032x}", f"{context.span_id:016x}", span.name, 0, span.start_time, span.end_time)
    made.kind = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}[span.kind.name]
    made.parent = f"{span.parent.span_id:016x}" if span.parent else ""
    made.state = ",".join(f"{key}={value}" for key, value in context.trace_state.items())
    made.attributes = dict(span.attributes)
    made.events = [(event.name, event.timestamp, dict(event.attributes)) for event in span.events]
    for link in span.links:
        there = link.context
        ids = f"{there.trace_id:032x}", f"{there.span_id:016x}"
        made.links.append((*ids, dict(link.attributes), 0x300 if there.is_remote else 0x100))
    made.code, made.message = span.status.status_code.value, span.status.description or ""
    made.flags = 0x300 if span.parent is not None and span.parent.is_remote else 0x100
    return made


def equal() -> dict[str, Any]:
    """Compare all spans, as one batch."""
    spans = sdk_spans()
    made = [ours(span) for span in spans]
    encoders = "opentelemetry.exporter.otlp.{}.common.trace_encoder"
    official = import_module(encoders.format("proto")).encode_spans(spans).SerializeToString()
    binary = _protobuf.wrap([_protobuf.encode(span) for span in made], RESOURCE, SCOPE)
    document = import_module(encoders.format("json")).encode_spans(spans).to_json()
    text = json.loads(_json.wrap([_json.encode(span) for span in made], RESOURCE, SCOPE))
    same = _without_defaults(json.loads(document)) == _without_defaults(text)
    return {"spans": len(spans), "protobuf": official == binary, "json": same, "bytes": len(binary)}


def _without_defaults(value: Any) -> Any:
    """A document without what is left out or not as the writer likes: empty texts and lists, and zeros; sorted."""
    if isinstance(value, dict):
        kept = {key: _without_defaults(one) for key, one in value.items()}
        is_any = len(kept) == 1 and next(iter(kept)).endswith("Value")
        return kept if is_any else {key: one for key, one in kept.items() if one not in ("", [], {}, 0, None)}
    return [_without_defaults(one) for one in value] if isinstance(value, list) else value


def parse(file: Path) -> dict[str, Any]:
    """Return a request as protobuf's own library reads it."""
    service: Any = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    data = file.read_bytes()
    request = service.ExportTraceServiceRequest.FromString(data)
    to_dict: Any = import_module("google.protobuf.json_format").MessageToDict
    return {"same": request.SerializeToString() == data, "request": to_dict(request)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(equal() if sys.argv[1] == "equal" else parse(Path(sys.argv[2]))))
