"""`delivery_metrics`: what became of the telemetry, as metrics. (On Lambda: test_powertools.py.)"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from tests.delivery.support import OK, RETRY, Scripted, event
from zespan_serverless import ConfigurationError, FlushReport, capture, flush, testing, zespan_lambda
from zespan_serverless.exporters import Outcome
from zespan_serverless.powertools import delivery_metrics
from zespan_serverless.testing import LambdaContext

ROOT = Path(__file__).parents[2]
NAMES = ["FlushDuration", "EventsDelivered", "EventsPending", "EventsDropped", "ColdStart"]

Emitted = Callable[[], list[dict[str, Any]]]


@zespan_lambda
def handler(count: Any, context: Any) -> None:
    for _ in range(count):
        capture({})


class AnyEvent(Scripted):
    """Takes any event; what it records of each is 0."""

    def encode(self, record: Any) -> bytes:
        return super().encode(event({"n": 0}))


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str]) -> Emitted:
    """The lines of metrics printed since the last look."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


def counts(line: dict[str, Any]) -> list[float]:
    """Delivered, pending, dropped, cold start."""
    return [line[name][0] for name in NAMES[1:]]


def test_each_invocation_prints_one_metric_line(emitted: Emitted) -> None:
    """In CloudWatch's embedded metric format, with names, units and dimensions; only the first is a cold start."""
    with testing.recording(on_flush=delivery_metrics("Shop", "orders", stage="test")):
        for number in (0, 3):
            handler(number, LambdaContext())
    first, second = emitted()
    (metrics,) = first["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "Shop"
    assert [set(dimensions) for dimensions in metrics["Dimensions"]] == [{"service", "stage"}]
    units = {metric["Name"]: metric["Unit"] for metric in metrics["Metrics"]}
    assert units == {**dict.fromkeys(NAMES, "Count"), "FlushDuration": "Milliseconds"}
    assert (first["service"], first["stage"]) == ("orders", "test")
    assert (counts(first), counts(second)) == ([1, 0, 0, 1], [4, 0, 0, 0])
    assert first["FlushDuration"][0] > 0


def test_with_a_fallback_parked_events_are_a_metric(emitted: Emitted) -> None:
    """Counted since the line before; without a fallback there is no such metric."""
    backend = AnyEvent(RETRY)
    on_flush, fallback = delivery_metrics("Shop"), AnyEvent()
    with testing.recording(exporter=backend, fallback=fallback, fallback_after=0.0, on_flush=on_flush):
        for _ in range(5):
            handler(3, LambdaContext())
        lines = emitted()
    assert sum(line["EventsParked"][0] for line in lines) == len(fallback.delivered) > 0
    assert sum(line["EventsParked"][0] + line["EventsPending"][0] for line in lines[-1:]) <= 20


def test_namespace_and_service_default_to_those_of_powertools(
    emitted: Emitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Namespace and service are by default those of everything that Powertools does."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Shop")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "orders")
    delivery_metrics()(FlushReport(2, 1, 3, 0.25, "deadline"))
    (line,) = emitted()
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"
    assert (line["service"], line["FlushDuration"]) == ("orders", [250.0])
    assert counts(line) == [2, 3, 1, 1]


def test_events_between_flushes_are_counted_in_the_next_line(emitted: Emitted) -> None:
    """Events that were dropped, or sent, while no flush was under way are in the next line, and in one only."""
    exporter = AnyEvent(OK)
    with testing.recording(exporter=exporter, on_flush=delivery_metrics("Shop"), max_events=3, batch_size=500):
        for _ in range(5):
            capture({})  # the oldest two have no place
        assert flush().delivered == 3
        handler(0, LambdaContext())
        handler(0, LambdaContext())
    assert [counts(line) for line in emitted()] == [[4, 0, 2, 1], [1, 0, 0, 0]]


def test_refused_and_pending_events_are_counted(emitted: Emitted) -> None:
    """Dropped by the backend's word, and pending while it is unavailable."""
    exporter = AnyEvent(Outcome("unauthorized", "HTTP 401"), RETRY)
    with testing.recording(exporter=exporter, on_flush=delivery_metrics("Shop"), flush_timeout=0.05):
        handler(1, LambdaContext())
        handler(2, LambdaContext())
    assert [counts(line) for line in emitted()] == [[0, 0, 2, 1], [0, 3, 0, 0]]


def test_another_delivery_is_counted_from_its_start(emitted: Emitted) -> None:
    """One object may outlive a shutdown, or a test."""
    on_flush = delivery_metrics("Shop")
    for number in (4, 1):
        with testing.recording(on_flush=on_flush):
            handler(number, LambdaContext())
    assert [counts(line)[0] for line in emitted()] == [5, 2]


def test_the_users_own_metrics_are_neither_printed_nor_cleared(emitted: Emitted) -> None:
    """The user's own metrics are neither printed with the delivery's nor cleared."""
    mine = Metrics(namespace="Mine", service="orders")
    mine.add_metric("Answers", "Count", 1)
    delivery_metrics("Shop")(FlushReport(1))
    mine.flush_metrics()
    ours, theirs = emitted()
    assert [metric["Name"] for metric in ours["_aws"]["CloudWatchMetrics"][0]["Metrics"]] == NAMES
    assert theirs["Answers"] == [1.0]
    assert "FlushDuration" not in theirs
    assert "service" not in ours


@pytest.mark.parametrize("on_top", [False, True])
def test_metric_lines_of_other_decorators_stay_whole(
    on_top: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decorators above ours print while ours are printed: both lines stay whole. On top, no line is empty."""
    if on_top:
        monkeypatch.setenv("_HANDLER", f"{__name__}.handler")
    sys.stdout.write("" if on_top else "theirs")
    delivery_metrics("Shop")(FlushReport(1))
    sys.stdout.write("theirs\n" if on_top else "\n")
    lines = capsys.readouterr().out.split("\n")
    assert "theirs" in lines
    assert len([line for line in lines if line.startswith("{") and json.loads(line)["EventsDelivered"]]) == 1
    assert len(lines) == (3 if on_top else 4)


def test_the_switch_of_powertools_is_heeded(emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powertools' own switch is heeded."""
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    delivery_metrics("Shop")(FlushReport(1))
    assert emitted() == []


def test_missing_namespace_is_logged_once(caplog: pytest.LogCaptureFixture, emitted: Emitted) -> None:
    """Powertools cannot print anything then, which is logged once and has no other effect."""
    with testing.recording(on_flush=delivery_metrics()) as events:
        for _ in range(2):
            handler(0, LambdaContext())
        assert len(events) == 2
    assert caplog.text.count("on_flush failed: SchemaValidationError: Must contain a metric namespace") == 1
    assert emitted() == []


def test_missing_powertools_is_reported_while_configuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing namespace raises while configuring, with what to do."""
    monkeypatch.setitem(sys.modules, "aws_lambda_powertools.metrics", None)
    with pytest.raises(ConfigurationError, match="pip install aws-lambda-powertools"):
        delivery_metrics("Shop")


def test_decorating_and_invoking_import_no_powertools() -> None:
    """Decorating and invoking import neither Powertools nor this package's modules for it."""
    script = """
import sys
from zespan_serverless import testing, zespan_lambda

@zespan_lambda
def handler(event, context): ...

with testing.recording():
    handler({}, testing.LambdaContext())
dear = ("aws_", "boto", "zespan_serverless.powertools", "zespan_serverless.logs")
assert not [module for module in sys.modules if module.startswith(dear)]
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
