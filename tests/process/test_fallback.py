"""The setting `fallback` in a process of its own kind: what is parked is what the backend would have got."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless import capture, flush, init, shutdown, testing
from zespan_serverless._process import container as _container
from zespan_serverless.cli import main
from zespan_serverless.exporters import Exporter, Outcome
from zespan_serverless.exporters.stores import events_of, exporter_to, open_store
from zespan_serverless.settings import check, resolve
from zespan_serverless.testing import Backend

Mode = Any


def parked(folder: Path) -> list[dict[str, Any]]:
    """Return the events in a directory."""
    store = open_store(str(folder))
    return [json.loads(data) for name in store.list() for data in events_of(store.get(name))[1]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", "refuse", "drop", "redirect", 500, 503])
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_shutdown_parks_in_a_directory_what_the_backend_cannot_have(tmp_path: Path, mode: Mode, form: str) -> None:
    """The same events with the same ids, however the backend fails."""
    with Backend() as backend:
        backend.mode = mode
        init(base_url=backend.url, fallback=form.format(tmp_path / "parked"), batch_size=10)
        for number in range(25):
            capture({"operation": "x", "metadata": {"n": number}})
        report = shutdown(4.0)
        assert (report.parked, report.pending, report.dropped, report.reason) == (25, 0, 0, "")
        tried = [event for request in backend.requests for event in request.events]
    events = parked(tmp_path / "parked")
    assert [event["metadata"]["n"] for event in events] == [*range(25)]
    assert len({event["event_id"] for event in events}) == 25
    assert tried == [] if mode == "refuse" else tried[0] == events[0]


def test_the_header_says_what_the_events_are(tmp_path: Path) -> None:
    """The header has what is needed to send them later."""
    with Backend() as backend:
        backend.mode = "refuse"
        init(base_url=backend.url, fallback=str(tmp_path))
        capture({"operation": "x"})
        shutdown(2.0)
    (name,) = open_store(str(tmp_path)).list()
    header, _ = events_of(open_store(str(tmp_path)).get(name))
    assert header == {"version": 1, "exporter": "zespan", "content_type": "application/json", "events": 1}


def test_an_object_is_a_fallback_if_it_can_send() -> None:
    """It gets the bytes of the exporter, and needs no other method."""
    got: list[bytes] = []

    class Mine:
        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            got.extend(batch)
            return Outcome("delivered")

    with Backend() as backend:
        backend.mode = 500
        init(base_url=backend.url, fallback=Mine())
        capture({"operation": "mine"})
        assert shutdown(2.0).parked == 1
    assert [json.loads(data)["operation"] for data in got] == ["mine"]


def test_a_directory_that_cannot_be_written_is_logged_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are pending as without it, and are delivered when the backend is back."""
    (tmp_path / "file").write_text("in the way")
    with Backend() as backend:
        backend.mode = 500
        init(base_url=backend.url, fallback=str(tmp_path / "file" / "parked"), fallback_after=0.0)
        capture({"operation": "x"})
        while "cannot be parked" not in caplog.text:
            assert flush(0.5).pending == 1
        assert f"cannot be parked in {tmp_path}/file/parked for now: NotADirectoryError" in caplog.text
        backend.mode = "ok"
        assert flush(5).delivered == 1
    assert len([line for line in caplog.messages if "cannot be parked" in line]) == 1


def test_a_fallback_that_cannot_be_opened_is_logged_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry works without it."""
    monkeypatch.setattr("zespan_serverless.exporters.stores.STORES", {"file": ("nowhere", "Nothing")})
    with Backend() as backend, caplog.at_level(logging.WARNING):
        init(base_url=backend.url, fallback=str(tmp_path))
        capture({"operation": "x"})
        assert flush(5).delivered == 1
    assert "there is no fallback: ModuleNotFoundError" in caplog.text


def test_it_is_not_imported_without_the_setting() -> None:
    """It costs nothing to those who have none."""
    script = """
        import sys
        from zespan_serverless import capture, init, shutdown
        init(exporter="memory")
        capture({})
        shutdown()
        print([name for name in sys.modules if name.endswith(("parking", "fallback", "stores", "directory", "roles"))])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert [name for name in printed.strip("[]\n").split(", ") if "zespan_serverless" in name] == []


def test_each_of_several_destinations_has_its_own_fallback(tmp_path: Path) -> None:
    """What one cannot have is parked in its words; what the other has got is not."""

    class Mine(Exporter):
        destination = "mine"
        got: list[bytes] = []  # noqa: RUF012

        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            self.got.extend(batch)
            return Outcome("delivered")

    with Backend() as backend:
        backend.mode = 500
        init(base_url=backend.url, api_key="zsp_key", exporter=["zespan", Mine()], fallback=str(tmp_path))
        capture({"operation": "x"})
        report = shutdown(4.0)
    assert (report.delivered, report.parked, report.pending, report.dropped) == (1, 1, 0, 0)
    assert [(one.delivered, one.parked) for one in report.destinations] == [(0, 1), (1, 0)]
    (name,) = open_store(str(tmp_path)).list()
    header, (event,) = events_of(open_store(str(tmp_path)).get(name))
    assert header["exporter"] == "zespan"
    assert json.loads(event)["event_id"] == json.loads(Mine.got[0])["event_id"]


PROGRAM = """
import sys, time
from zespan_serverless import capture, init
init(base_url=sys.argv[1], fallback=sys.argv[2], journal="off")
for number in range(5):
    capture({"operation": "x", "metadata": {"n": number}})
print("ready", flush=True)
time.sleep(float(sys.argv[3]))
"""


@pytest.mark.skipif(os.name != "posix", reason="no SIGTERM elsewhere")
@pytest.mark.parametrize("ending", ["exit", "SIGTERM"])
@pytest.mark.parametrize("mode", ["hang", "refuse", 500])
def test_the_end_of_a_process_parks(tmp_path: Path, ending: str, mode: Mode) -> None:
    """At its exit, and in the quarter of a second that SIGTERM allows."""
    with Backend() as backend:
        backend.mode = mode
        seconds = "60" if ending == "SIGTERM" else "0"
        command = [sys.executable, "-c", PROGRAM, backend.url, str(tmp_path / "parked"), seconds]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if ending == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGTERM if ending == "SIGTERM" else 0)
    assert [event["metadata"]["n"] for event in parked(tmp_path / "parked")] == [*range(5)]
    assert f"is being parked in {tmp_path / 'parked'}. To send it later: zespan-serverless replay" in errors
    assert "dropped" not in errors


def test_the_container_counts_what_is_parked(tmp_path: Path) -> None:
    """Captured is delivered, parked, pending and dropped."""
    with Backend() as backend:
        init(base_url=backend.url, fallback=str(tmp_path))
        container = _container.current()
        assert container is not None
        capture({"operation": "x"})
        flush(5)
        backend.mode = 500
        capture({"operation": "x"})
        shutdown(2.0)
        delivery = container.delivery
        assert (delivery.captured, delivery.delivered, delivery.parked, delivery.pending, delivery.lost) == (
            2,
            1,
            1,
            0,
            0,
        )


def test_a_store_may_be_the_only_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zespan's events go there without a key, from the environment or from code, and are sent on with the same ids."""
    monkeypatch.setenv("ZESPAN_EXPORTER", f"file://{tmp_path}")
    init()
    capture({"operation": "x"})
    assert shutdown(5.0).delivered == 1
    testing.reset()
    init(exporter=exporter_to(f"file://{tmp_path}"))
    capture({"operation": "y"})
    assert shutdown(5.0).delivered == 1
    kept = parked(tmp_path)
    assert [event["operation"] for event in kept] == ["x", "y"]
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
        assert main(["replay", str(tmp_path), "--to", backend.url]) == 0
        assert backend.events == kept


def test_a_store_beside_a_backend(tmp_path: Path) -> None:
    """In a list it is one destination of several."""
    with Backend() as backend:
        init(base_url=backend.url, exporter=["zespan", exporter_to(str(tmp_path))])
        capture({"operation": "x"})
        shutdown(5.0)
        assert parked(tmp_path) == backend.events


def test_a_store_that_is_away_parks_in_its_fallback(tmp_path: Path) -> None:
    """The events stay Zespan's, whichever store they come from."""
    (tmp_path / "file").write_text("no directory can be made here")
    init(exporter=exporter_to(str(tmp_path / "file" / "x")), fallback=str(tmp_path / "parked"))
    capture({"operation": "x"})
    assert shutdown(5.0).parked == 1
    store = open_store(str(tmp_path / "parked"))
    assert events_of(store.get(next(iter(store.list()))))[0]["exporter"] == "zespan"


def test_parked_spans_are_still_of_their_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later sender uses the resource of the function that made them, not its own."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with Backend() as backend:
        backend.mode = "refuse"
        init(exporter="otlp", base_url=backend.url, service_name="checkout", fallback=str(tmp_path))
        capture({"operation": "x"})
        assert shutdown(5.0).parked == 1
        backend.mode = "ok"
        assert main(["replay", str(tmp_path), "--to", backend.url]) == 0
        (spans,) = (resource for event in backend.events for resource in event["resourceSpans"])
        attributes = {one["key"]: one["value"]["stringValue"] for one in spans["resource"]["attributes"]}
        assert attributes["service.name"] == "checkout"
        assert len(spans["scopeSpans"][0]["spans"]) == 1


def test_a_store_is_off_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a backend is, unless it is on this machine."""
    monkeypatch.delenv("ZESPAN_ENABLED", raising=False)
    assert not resolve(check({"exporter": "sqs://queue"})).enabled
    assert resolve(check({"exporter": "file:///tmp/x"})).enabled


@pytest.mark.parametrize("variable", ["ZESPAN_FALLBACK", "ZESPAN_EXPORTER"])
def test_a_password_in_a_url_is_not_logged(
    variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Stores take none, so that the line that says so must not repeat it."""
    monkeypatch.setenv(variable, "s3://key:secret@bucket")
    resolve(check({}))
    assert f"{variable}='***@bucket' ignored" in caplog.text
    assert "secret" not in caplog.text
