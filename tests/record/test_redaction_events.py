"""No secret leaves in an event, whatever way it came, and an event that cannot be made is counted."""

from __future__ import annotations

import functools
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import zespan_serverless
from tests.record.redacted import SECRET, Lying, redact
from zespan_serverless import _record, span, testing, with_context
from zespan_serverless._record import redaction


def test_every_way_in() -> None:
    """Steps, their tags, captured events and the settings' tags are all redacted."""
    with testing.recording(tags={"token": SECRET, "team": "t"}) as events:
        with with_context(tags={"Api-Key": SECRET}), span("step", metadata={"a": json.dumps({"secret": SECRET})}):
            pass
        with pytest.raises(ValueError, match="5up3r"), span(f'{{"token": "{SECRET}"}}'):
            raise ValueError(f"password={SECRET}")
        event: Any = {"tags": {"password": SECRET}, "error_message": f"token={SECRET}", "token": SECRET}
        zespan_serverless.capture(event)
        zespan_serverless.flush(5)
    assert len(events) == 3
    assert SECRET not in json.dumps(events)
    assert events[0]["tags"] == {"token": "[REDACTED]", "team": "t", "Api-Key": "[REDACTED]"}


def test_an_event_is_an_event_whatever_the_keys() -> None:
    """What the backend knows events by is not redacted; what stands in other fields is."""
    with testing.recording(redact_keys=["trace_id", "user_id", "status"]) as events:
        with with_context(user_id=SECRET), span("step"):
            pass
        zespan_serverless.flush(5)
    (event,) = events
    assert re.fullmatch("[0-9a-f]{32}", event["trace_id"])
    assert (event["status"], event["user_id"]) == ("success", "[REDACTED]")


ODD: dict[str, Callable[[], Any]] = {
    "lying dict": lambda: Lying(a=1),
    "raising list": lambda: type("L", (list,), {"__iter__": lambda self: 1 / 0, "__len__": lambda self: 1 / 0})([1]),
    "spec str": lambda: mock.Mock(spec=str),
    "spec dict": lambda: mock.Mock(spec=dict),
    "spec list": lambda: mock.MagicMock(spec=list),
    "huge": lambda: 10**6000,
    "loud str": lambda: type(
        "S", (str,), {n: lambda *_: 1 / 0 for n in ("lower", "__str__", "__len__", "__eq__", "__hash__")}
    )("x"),
    "loud int": lambda: type("I", (int,), {"__int__": lambda self: 1 / 0, "bit_length": lambda self: 1 / 0})(5),
}


@pytest.mark.parametrize("name", ODD)
def test_every_event_arrives_or_is_counted(name: str) -> None:
    """Whatever its values do when they are looked at."""
    with testing.recording() as events:
        value: Any
        for value in (ODD[name](), [ODD[name]()], {"a": ODD[name]()}):
            with span("step", metadata={"v": value}), with_context(tags={"a": value}), span(value):
                pass
            zespan_serverless.capture({"metadata": value, "trace_id": value})
        report = zespan_serverless.flush(5)
    assert report.pending == 0
    assert len(events) == 9


@pytest.mark.parametrize("event", [None, 5, [], mock.Mock(spec=dict), {"a": 1}.items()])
def test_what_is_no_event_is_counted(event: Any) -> None:
    """And said, as any event that is dropped."""
    with testing.recording(on_error=lambda dropped: seen.append(dropped)) as events:
        seen: list[Any] = []
        zespan_serverless.capture(event)
        zespan_serverless.flush(5)
    assert events == []
    assert [(dropped.events, dropped.reason) for dropped in seen] == [(1, "unencodable")]


def test_details_that_another_thread_changes() -> None:
    """No event is lost to that."""
    shared: dict[Any, Any] = {}
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            shared[f"k{n % 500}"] = n
            shared.pop(f"k{(n + 250) % 500}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with testing.recording() as events:
            for _ in range(200):
                with span("step", metadata={"shared": shared, "set": shared.keys()}) as details:
                    details["again"] = shared
            zespan_serverless.flush(5)
    finally:
        stop.set()
        thread.join()
    assert len(events) == 200


class Timeout(Exception):
    """What a SIGALRM handler of the user's raises, wherever it strikes."""


class Slow:
    """Strikes while it is looked at, the first time."""

    def __init__(self) -> None:
        self.struck = False

    def __str__(self) -> str:
        if not self.struck:
            self.struck = True
            signal.raise_signal(signal.SIGALRM)
        return "slow"


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="POSIX")
def test_what_a_signal_handler_raises_passes_and_the_event_is_made() -> None:
    """The user's timeout propagates, and no event is lost."""

    def ring(*_: object) -> None:
        raise Timeout

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with testing.recording() as events:
            with pytest.raises(Timeout), span("step", metadata={"a": Slow()}):
                pass
            with pytest.raises(Timeout):
                zespan_serverless.capture({"metadata": {"a": [Slow()]}})
            zespan_serverless.flush(5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [event["metadata"] for event in events] == [{"a": "slow"}, {"a": ["slow"]}]


def test_an_event_that_interrupts_the_import_of_the_search_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler captures it while the first text that may have a secret is about to be searched."""
    cache = functools.cache

    def interrupted(function: Any) -> Any:
        if function.__module__ == redaction.__name__:
            zespan_serverless.capture({"operation": "inner", "metadata": {"a": json.dumps({"token": SECRET})}})
        return cache(function)

    with testing.recording() as events:
        monkeypatch.delitem(sys.modules, redaction.__name__)
        monkeypatch.delattr(_record, "redaction")
        monkeypatch.setattr(functools, "cache", interrupted)
        zespan_serverless.capture({"operation": "outer", "metadata": {"a": json.dumps({"token": SECRET})}})
        zespan_serverless.flush(5)
    assert [event["metadata"]["a"] for event in events] == ["[REDACTED]", '{"token": "[REDACTED]"}']


def test_a_source_that_cannot_be_compared() -> None:
    """The records of an event are the user's to work on, whatever our look at them raises."""

    class Array:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

        __eq__ = __len__ = __bool__  # type: ignore[assignment]

    with testing.recording():
        for value in (Array(), type("Source", (str,), {"__hash__": lambda self: 1 / 0})("aws:sqs")):
            records = [{"eventSource": value, "eventSourceARN": value, "messageId": value}]
            assert list(zespan_serverless.traced_records({"Records": records})) == records
            with zespan_serverless.traced_record(records[0]):
                pass


@pytest.mark.parametrize("moment", [-1e18, 1e18, float("nan"), float("inf"), -5.0])
def test_a_time_of_no_calendar(moment: float) -> None:
    """Costs the time, not the event."""
    with testing.recording() as events:
        with mock.patch("time.time", return_value=moment), span("step"):
            pass
        zespan_serverless.flush(5)
    assert re.fullmatch(r"(1970|9999)-.*Z", events[0]["timestamp"])


def test_pictures_are_left_out() -> None:
    """Of a data URL that is longer than 65,536 characters the beginning is kept, and how long it was is said."""
    url = "data:image/png;base64," + "A" * 100_000
    said = redact([{"type": "image_url", "image_url": {"url": url}}])[0]["image_url"]["url"]
    assert said == url[:100] + "... [99922 of 100022 characters left out]"
    assert redact("data:" + "A" * 65_000) == "data:" + "A" * 65_000
