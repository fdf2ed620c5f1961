"""What the tests of the server share: requests as functions, tools and pages send them."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from zespan_serverless_dev.server import DevServer

TRACE, ROOT, CALL = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7", "b7ad6b7169203331"
BODY_TYPE = "application/octet-stream"
START = "2026-11-29T10:00:00.250Z"
MS = 1_795_946_400_250.0  # the same


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    dev: DevServer, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return one request, exactly with these headers beside the host's and the body's length."""
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def owner(dev: DevServer) -> dict[str, str]:
    """Return the header of a client with the token."""
    return {"authorization": f"Bearer {dev.token}"}


def send(dev: DevServer, *events: Mapping[str, Any]) -> int:
    """Send events in Zespan's format, and give the status that is answered."""
    return ask(dev, "POST", "/v1/ingest", "\n".join(map(json.dumps, events)).encode()).status


def event(**fields: Any) -> dict[str, Any]:
    """Return an event of a model call, with a new id."""
    made = {
        "event_id": str(uuid.uuid4()),
        "trace_id": TRACE,
        "span_id": CALL,
        "parent_span_id": ROOT,
        "timestamp": START,
        "latency_ms": 100,
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "span_kind": "llm",
        "status": "success",
        "input_tokens": 12,
        "output_tokens": 5,
        "cost_usd": 0.001,
        "prompt_text": '[{"role":"user","content":"Grüße"}]',
        "completion_text": "Hello",
    }
    return {**made, **fields}


def root(**fields: Any) -> dict[str, Any]:
    """Return the event of an invocation, with a new id."""
    metadata = {
        "start_kind": "cold",
        "faas.name": "shop",
        "faas.instance": "i-1",
        "faas.invocation_id": "r-1",
        "handler_duration_ms": 250.0,
    }
    given = fields.pop("metadata", {})
    made = event(span_id=ROOT, parent_span_id=None, operation="shop", span_kind="general", model="", provider="")
    made.update(latency_ms=250, input_tokens=0, output_tokens=0, cost_usd=None)
    return {**made, "metadata": {**metadata, **given}, **fields}
