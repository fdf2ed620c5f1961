"""Events of stores are sent on: by the exporter that they were encoded for, each blob with its own outcome."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless import ConfigurationError
from zespan_serverless._forwarding import EVENTS_MAX, Forwarder
from zespan_serverless.cli import main
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import batch_of, open_store
from zespan_serverless.testing import Backend

OF = {"exporter": "zespan", "content_type": "application/json"}
SPANS = {"exporter": "otlp", "content_type": "application/json"}
DELIVERED = Outcome("delivered")


def blob(*numbers: int, of: Mapping[str, Any] = OF) -> bytes:
    return batch_of([json.dumps({"event_id": f"e{number}"}).encode() for number in numbers], of)


def use_otlp(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have spans sent there, in JSON."""
    backend.mode = 200
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")


def ids(backend: Backend) -> list[str]:
    return [event["event_id"] for event in backend.events]


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def forwarder(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forwarder]:
    monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
    forwarder = Forwarder({"base_url": backend.url})
    yield forwarder
    forwarder.close()


def test_blobs_are_sent_together(backend: Backend, forwarder: Forwarder) -> None:
    """Ten messages of a queue make one request, with the very bytes that were kept, and with the key."""
    backend.api_key = "zsp_1"
    assert forwarder.forward([blob(number) for number in range(10)], 20.0) == [DELIVERED] * 10
    assert [len(request.events) for request in backend.requests] == [10]
    assert ids(backend) == [f"e{number}" for number in range(10)]


def test_many_events_make_several_requests(backend: Backend, forwarder: Forwarder) -> None:
    """As large as a backend takes them."""
    assert forwarder.forward([blob(*range(EVENTS_MAX + 1))], 20.0) == [DELIVERED]
    assert [len(request.events) for request in backend.requests] == [EVENTS_MAX, 1]


def test_large_events_make_several_requests(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, forwarder: Forwarder
) -> None:
    """The bytes of a request are bounded as those of a function's own are."""
    monkeypatch.setenv("ZESPAN_BATCH_BYTES", "1024")
    events = [json.dumps({"event_id": str(number), "text": "x" * 600}).encode() for number in range(3)]
    assert forwarder.forward([batch_of(events, OF)], 20.0) == [DELIVERED]
    assert [len(request.events) for request in backend.requests] == [1, 1, 1]


def test_a_refused_event_costs_only_its_own_blob(backend: Backend, forwarder: Forwarder) -> None:
    """All others are delivered, those beside it in the same blob, too."""
    backend.reject = lambda event: event["event_id"] == "e4"
    outcomes = forwarder.forward([blob(0, 1), blob(2, 3, 4, 5), blob(6)], 20.0)
    assert [outcome.verdict for outcome in outcomes] == ["delivered", "refused", "delivered"]
    assert "HTTP 400" in outcomes[1].detail
    assert sorted(ids(backend)) == ["e0", "e1", "e2", "e3", "e5", "e6"]


def fails_at(name: str) -> Backend:
    """Return a backend that answers 500 to every request with this event."""

    def decode(body: bytes) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in body.splitlines()]
        failing.mode = 500 if name in [event["event_id"] for event in events] else "ok"
        return events

    failing = Backend(decode=decode)
    return failing


@pytest.mark.parametrize("poison", ["e0", "e4", "e6"])
def test_an_event_that_the_backend_fails_at_costs_only_its_own_blob(
    poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are delivered, and its blob is to be kept."""
    monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
    with fails_at(poison) as backend:
        forwarder = Forwarder({"base_url": backend.url})
        outcomes = forwarder.forward([blob(0, 1), blob(2, 3, 4, 5), blob(6)], 20.0)
        forwarder.close()
        assert sorted(outcome.verdict for outcome in outcomes) == ["delivered", "delivered", "refused"]
        assert "HTTP 500 to one event, but not to others" in [outcome.detail for outcome in outcomes]
        assert sorted(ids(backend)) == [f"e{number}" for number in range(7) if f"e{number}" != poison]


def test_a_batch_that_the_backend_fails_at_keeps_no_others_from_being_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the oldest, so that nothing is known of the backend yet."""
    monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
    store = open_store(str(tmp_path / "parked"))
    for number in range(3):
        store.put(blob(number), f"b{number}", 5.0)
    with fails_at("e0") as backend:
        assert main(["replay", store.url, "--to", backend.url, "--patience", "0.3"]) == 1
        assert (ids(backend), [*store.list()]) == (["e1", "e2"], ["b0"])


def test_a_backend_that_comes_back_in_time(backend: Backend, forwarder: Forwarder) -> None:
    """It is tried again until the time is over."""
    backend.mode = 503

    def recover(_: object) -> bool:
        backend.mode = "ok"
        return False

    backend.reject = recover
    assert forwarder.forward([blob(1)], 60.0) == [DELIVERED]
    assert [request.status for request in backend.requests] == [503, 200]


@pytest.mark.parametrize("mode", [500, 404, "hang", "refuse"])
def test_a_backend_that_is_away(mode: int, backend: Backend, forwarder: Forwarder) -> None:
    """Nothing is lost: the blobs are to be kept, and the time is."""
    backend.mode = mode
    begun = time.monotonic()
    outcomes = forwarder.forward([blob(1), blob(2)], 0.5)
    assert [outcome.verdict for outcome in outcomes] == ["retry", "retry"]
    assert time.monotonic() - begun < 15


def test_a_backend_that_asks_to_wait_longer_than_there_is_time(backend: Backend, forwarder: Forwarder) -> None:
    """It is not asked again."""
    backend.mode, backend.retry_after = 429, "50"
    assert forwarder.forward([blob(1)], 20.0)[0].verdict == "retry"
    assert len(backend.requests) == 1


def test_a_key_that_is_not_accepted(backend: Backend, forwarder: Forwarder) -> None:
    """One request tells: nothing else is sent, and nothing is lost."""
    backend.api_key = "zsp_2"
    outcomes = forwarder.forward([blob(*range(EVENTS_MAX)), blob(1)], 20.0)
    assert [outcome.verdict for outcome in outcomes] == ["unauthorized", "unauthorized"]
    assert len(backend.requests) == 1


@pytest.mark.parametrize(("status", "verdict"), [(404, "refused"), (401, "unauthorized"), (503, "retry")])
def test_spans_are_forwarded_by_the_exporter_of_their_format(
    status: int, verdict: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans go by the exporter of their format; at a wrong address they stay where they are."""
    use_otlp(backend, monkeypatch)
    spans = batch_of([b'{"name":"s"}'], SPANS)
    backend.mode = status
    forwarder = Forwarder({})
    assert [outcome.verdict for outcome in forwarder.forward([spans], 0.3)] == [verdict]
    backend.mode = 200
    assert forwarder.forward([spans], 20.0) == [DELIVERED]
    assert backend.requests[-1].path == "/v1/traces"
    forwarder.close()


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"", "incomplete"),
        (b"nonsense", "no batch of events"),
        (gzip.compress(b"[" * 200_000 + b"\n"), "no batch of events"),
        (blob(1)[:-3], "incomplete"),
        (blob(1, of={**OF, "exporter": "mine.Exporter"}), "none of this release's"),
        (blob(1, of={**OF, "exporter": "console,memory"}), "none of this release's"),
        (blob(1, of={**OF, "exporter": "memory"}), "none of this release's"),
        (blob(1, of={**OF, "exporter": "/tmp/elsewhere"}), "none of this release's"),
        (blob(1, of={**OF, "exporter": "otlp"}), "set OTEL_EXPORTER_OTLP_PROTOCOL"),
        (blob(1, of={**OF, "content_type": "application/x-other"}), "is configured for"),
    ],
)
def test_what_cannot_be_sent(damaged: bytes, reason: str, backend: Backend, forwarder: Forwarder) -> None:
    """It says why, and costs only itself."""
    first, second = forwarder.forward([damaged, blob(2)], 20.0)
    assert (first.verdict, second.verdict) == ("refused", "delivered")
    assert reason in first.detail
    assert ids(backend) == ["e2"]


def test_no_message_chooses_where_it_is_sent(backend: Backend, forwarder: Forwarder) -> None:
    """The events of a function that sent to a store go to the backend, whatever store the header names."""
    assert forwarder.forward([blob(1, of={**OF, "exporter": "file:///tmp/elsewhere"})], 20.0) == [DELIVERED]
    assert ids(backend) == ["e1"]


@pytest.mark.parametrize(
    ("exporter", "variable"),
    [("zespan", "ZESPAN_API_KEY"), ("langfuse", "LANGFUSE_PUBLIC_KEY"), ("datadog", "DD_API_KEY")],
)
def test_without_a_key(exporter: str, variable: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which variable to set; the events of other exporters are sent."""
    monkeypatch.delenv("ZESPAN_API_KEY", raising=False)
    use_otlp(backend, monkeypatch)
    forwarder = Forwarder({})
    first, second = forwarder.forward([blob(1, of={**OF, "exporter": exporter}), blob(2, of=SPANS)], 20.0)
    forwarder.close()
    assert (first.verdict, second.verdict) == ("refused", "delivered")
    assert f"set {variable}" in first.detail


def test_of_several_destinations_each_has_its_own_address(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the functions that have parked the events: `ZESPAN_BASE_URL` is Zespan's; `--to` is for all."""
    with Backend() as collector:
        backend.mode = collector.mode = 200
        use_otlp(collector, monkeypatch)
        monkeypatch.setenv("ZESPAN_EXPORTER", "zespan,otlp")
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        everywhere: list[dict[str, str]] = [{}, {"base_url": backend.url}]
        for arguments in everywhere:
            forwarder = Forwarder(arguments)
            assert forwarder.forward([blob(1, of=SPANS), blob(2)], 20.0) == [DELIVERED] * 2
            forwarder.close()
        assert [request.path for request in collector.requests] == ["/v1/traces"]
        assert sorted(request.path for request in backend.requests) == ["/v1/ingest", "/v1/ingest", "/v1/traces"]


@pytest.mark.slow
def test_a_backend_that_is_away_leaves_the_others_their_time(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parked events of several destinations are in one store."""
    with Backend() as collector:
        use_otlp(collector, monkeypatch)
        monkeypatch.setenv("ZESPAN_EXPORTER", "zespan,otlp")
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = "hang"
        forwarder = Forwarder({})
        first, second = forwarder.forward([blob(1), blob(2, of=SPANS)], 4.0)
        forwarder.close()
        assert (first.verdict, second.verdict) == ("retry", "delivered")


@pytest.mark.parametrize("status", [401, 429])
def test_one_answer_is_enough_for_all_processes(status: int, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of each process are a request of their own, of which no other is made then."""
    use_otlp(backend, monkeypatch)
    backend.mode, backend.retry_after = status, "50"
    parked = [blob(n, of={**SPANS, "resource": {"faas.instance": str(n)}}) for n in range(3)]
    forwarder = Forwarder({})
    assert len({outcome.verdict for outcome in forwarder.forward(parked, 10.0)} - {"delivered", "refused"}) == 1
    forwarder.close()
    assert len(backend.requests) == 1


def test_a_resource_of_any_values_is_sent(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the header has, it does not keep the others waiting."""
    use_otlp(backend, monkeypatch)
    odd = {"a": None, "b": {"c": 1}, "d": 10**30, "e": [1, "x"], "f": [], "g": "text"}
    forwarder = Forwarder({})
    assert forwarder.forward([batch_of([b"{}"], {**SPANS, "resource": odd})], 20.0) == [DELIVERED]
    forwarder.close()


@pytest.mark.parametrize("make", [lambda: Forwarder({"base_url": "ftp://x"}), lambda: Forwarder({"nonsense": 1})])
def test_wrong_settings_are_refused_before_sending(make: Callable[[], Forwarder]) -> None:
    """Wrong settings are refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        make()
