"""Requests to an OTLP endpoint, over real HTTP, and what its answers mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.exporters.otlp import support
from tests.exporters.otlp.support import Endpoint
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._process.container import build_exporter
from zespan_serverless.cli import main
from zespan_serverless.exporters import Dropped, Exporter, Outcome
from zespan_serverless.exporters.otlp._answers import rejected
from zespan_serverless.exporters.stores import batch_of, open_store
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend

Make = Callable[..., Any]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def exporter(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """exporter(variable=value, ...): an exporter to the endpoint, with these of OpenTelemetry's variables."""
    made: list[Any] = []

    def make(**variables: str) -> Any:
        for name, value in variables.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name.upper()}", value)
        settings = Settings(exporter="otlp", base_url=endpoint.url, headers={"x-team": "search"})
        made.append(build_exporter(settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _built(settings: Settings) -> Any:
    return build_exporter(settings)


def send(exporter: Exporter, timeout: float = 5) -> Outcome:
    return exporter.send([exporter.encode(support.root()), exporter.encode(support.call())], timeout)


def test_a_request_in_protobuf(endpoint: Endpoint, exporter: Make) -> None:
    """To /v1/traces below base_url, gzipped, with the headers of the settings; exactly the type, without a charset."""
    sending = exporter()
    sending.prepare(5)
    assert send(sending) == Outcome("delivered")
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "gzip"
    assert headers["x-team"] == "search"
    assert body.endswith(sending.encode(support.call()))


def test_a_request_in_json_without_compression(endpoint: Endpoint, exporter: Make) -> None:
    """As OpenTelemetry's variables ask."""
    sending = exporter(protocol="http/json", compression="none", headers="authorization=Bearer%20k,x-team=other")
    assert send(sending) == Outcome("delivered")
    ((_, headers, _),) = endpoint.requests
    assert headers["content-type"] == "application/json"
    assert "content-encoding" not in headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer k", "search")
    (of_resource,) = endpoint.documents()[0]["resourceSpans"]
    assert support.plain(of_resource["resource"]["attributes"])["cloud.platform"] == "aws_lambda"
    assert of_resource["scopeSpans"][0]["scope"]["name"] == "zespan_serverless"
    assert [span["name"] for span in endpoint.spans()] == ["handler", "chat gpt-4o"]


VERDICTS = {
    "delivered": (200, 201, 202, 204),
    "unauthorized": (401, 403),
    "refused": (400, 413, 422),
    "retry": (301, 307, 408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 599),
}


@pytest.mark.parametrize(("status", "verdict"), [(s, verdict) for verdict, all_ in VERDICTS.items() for s in all_])
def test_each_status_has_its_verdict_by_otlp(endpoint: Endpoint, exporter: Make, status: int, verdict: str) -> None:
    """What OTLP has retried, what may be one event's fault, and what needs another key."""
    endpoint.status, endpoint.body = status, b""
    outcome = send(exporter())
    assert (outcome.verdict, outcome.rejected) == (verdict, 0)
    assert verdict == "delivered" or f"HTTP {status}" in outcome.detail


@pytest.mark.parametrize("status", VERDICTS["retry"])
def test_what_the_protocol_does_not_retry_may_be_the_fault_of_a_span(
    endpoint: Endpoint, exporter: Make, status: int
) -> None:
    """It is tried again, because a backend that restarts answers 500 as well, but not for ever."""
    endpoint.status = status
    passes = (301, 307, 408, 425, 429, 502, 503, 504)
    assert send(exporter()).suspect is (status not in passes)


def test_one_span_that_the_backend_fails_at_stays_alone(endpoint: Endpoint, exporter: Make) -> None:
    """It answers 500 to every request with it: the others are delivered, and the end of the process does not wait."""
    told: list[Dropped] = []
    endpoint.fails = lambda body: b"poison" in body
    delivery = Delivery(exporter(), Settings(on_error=told.append, flush_timeout=20.0))
    for number in range(12):
        delivery.capture(support.step("general", "poison" if number == 4 else f"step {number}"))
    for number in range(12, 16):
        delivery.flush(20.0, probe=True)
        delivery.capture(support.step("general", f"step {number}"))
    report = delivery.flush(20.0, probe=True)
    delivery.close(20.0)
    assert (report.pending, delivery.delivered, dict(delivery.dropped)) == (1, 15, {"closed": 1})
    assert [(one.events, one.reason) for one in told] == [(1, "closed")]


@pytest.mark.parametrize("status", [404, 405, 406, 409, 411, 415, 418])
def test_an_endpoint_that_takes_no_batch_gets_it_once(endpoint: Endpoint, exporter: Make, status: int) -> None:
    """A wrong address does not become a hundred requests: the batch is dropped, and the log says where it went."""
    endpoint.status = status
    outcome = send(exporter())
    assert (outcome.verdict, outcome.rejected) == ("delivered", 2)
    assert outcome.detail == f"HTTP {status} from {endpoint.url}/v1/traces, which no batch will pass: check the address"


def test_retry_after_is_a_number_or_a_date(endpoint: Endpoint, exporter: Make) -> None:
    """Both are allowed."""
    endpoint.status = 503
    sending = exporter()
    endpoint.headers["retry-after"] = "12"
    assert send(sending).retry_after == 12
    endpoint.headers["retry-after"] = formatdate(time.time() + 600, usegmt=True)
    assert 590 < (send(sending).retry_after or 0) < 605


def test_a_page_in_html_is_no_answer(endpoint: Endpoint, exporter: Make) -> None:
    """A proxy's login has status 200."""
    endpoint.headers["content-type"], endpoint.body = "text/html", b"\n<html>"
    assert send(exporter()).verdict == "retry"


PARTIAL = {
    "JSON": (b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}', (1, "too old")),
    "JSON with a number": (b'{"partialSuccess":{"rejectedSpans":3}}', (3, "")),
    "only a warning": (b'{"partialSuccess":{"errorMessage":"slow down"}}', (0, "slow down")),
    "protobuf": (b"\x0a\x0b\x08\x01\x12\x07too old", (1, "too old")),
    "protobuf with more": (b"\x0a\x05\x08\xac\x02\x18\x01", (300, "")),
    "less than none": (b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01", (0, "")),
    "no number": (b"\xff" * 60_000, (0, "")),
    "empty": (b"{}", (0, "")),
    "success": (b'{"partialSuccess":{}}', (0, "")),
    "not OTLP": (b'{"status":"ok"}', (0, "")),
    "no object": (b"{", (0, "")),
    "text": (b"ok", (0, "")),
    "cut": (b"\x0a\xff", (0, "")),
    "wrong types": (b'{"partialSuccess":{"rejectedSpans":{"a":1}}}', (0, "")),
}


@pytest.mark.parametrize(("body", "expected"), PARTIAL.values(), ids=PARTIAL)
def test_what_is_rejected_is_read_from_any_answer(body: bytes, expected: tuple[int, str]) -> None:
    """In both formats; what cannot be read rejects nothing."""
    assert rejected(body) == expected


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/json", PARTIAL["JSON"][0]), ("application/x-protobuf", PARTIAL["protobuf"][0])],
)
def test_rejected_spans_are_dropped_and_never_sent_again(endpoint: Endpoint, kind: str, body: bytes) -> None:
    """They count as `refused`, the others as delivered, and the backend's words are in the report."""
    endpoint.headers["content-type"], endpoint.body = kind, body
    told: list[Dropped] = []
    settings = Settings(exporter="otlp", base_url=endpoint.url, on_error=told.append)
    delivery = Delivery(build_exporter(settings), settings)
    for _ in range(3):
        delivery.capture(support.call())
    report = delivery.flush(5)
    assert (report.delivered, report.dropped, report.pending) == (2, 1, 0)
    assert (delivery.captured, delivery.delivered, dict(delivery.dropped)) == (3, 2, {"refused": 1})
    delivery.close(5)
    assert len(endpoint.requests) == 1
    (dropped,) = told
    assert (dropped.events, dropped.reason) == (1, "refused")
    assert dropped.detail == f"{endpoint.url} has rejected spans: too old"


def test_a_request_that_is_too_large_is_halved(endpoint: Endpoint) -> None:
    """413: no event is lost if the halves pass."""
    endpoint.status = 413
    settings = Settings(exporter="otlp", base_url=endpoint.url)
    delivery = Delivery(build_exporter(settings), settings)
    for _ in range(2):
        delivery.capture(support.call())
    report = delivery.flush(5)
    assert (report.delivered, report.dropped) == (0, 2)
    sizes = [len(body) for _, _, body in endpoint.requests]
    assert len(sizes) == 3
    assert sizes[1] < sizes[0] > sizes[2]
    delivery.reset()


def test_a_hanging_endpoint_is_given_up_in_time() -> None:
    """As for any exporter."""
    with Backend() as backend:
        backend.mode = "hang"
        exporter = _built(Settings(exporter="otlp", base_url=backend.url))
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="no answer in time"):
            send(exporter, 0.1)
        assert time.monotonic() - began < 3
        exporter.close()


def test_a_configured_certificate_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE names who has signed the endpoint's."""
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Backend(tls=context) as backend:
        settings = Settings(exporter="otlp", base_url=backend.url)
        stranger = _built(settings)
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            send(stranger)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
        known = _built(settings)
        send(known)
        known.close()
        assert len(backend.requests) == 1


def test_a_journal_belongs_to_one_endpoint_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans in protobuf are not sent by a process that speaks JSON, or to another endpoint or account."""
    base: dict[str, Any] = {"exporter": "otlp", "base_url": "http://localhost:1"}
    changes: list[dict[str, Any]] = [{}, {"base_url": "http://localhost:2"}, {"headers": {"authorization": "k"}}]
    accounts = [_built(Settings(**{**base, **change})).account for change in changes]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    accounts.append(_built(Settings(**base)).account)
    assert len(set(accounts)) == len(accounts) == 4
    assert not any("authorization" in where for where, _ in accounts)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_parked_spans_are_sent_on_in_their_format(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """What a fallback has kept is the very same spans, and `replay` knows what they are."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.url)
    monkeypatch.setenv("ZESPAN_ENABLED", "1")
    exporter = _built(Settings(exporter="otlp"))
    span = exporter.encode(support.call())
    store = open_store(str(tmp_path / "parked"))
    blob = batch_of([span], {"exporter": "otlp", "content_type": exporter.content_type})
    assert store.put(blob, "1", 5).verdict == "delivered"
    assert main(["replay", str(tmp_path / "parked")]) == 0
    ((_, headers, body),) = endpoint.requests
    assert headers["content-type"] == exporter.content_type
    assert span in body
    assert [*store.list()] == []
