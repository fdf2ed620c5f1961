"""The deliveries that a container makes of the setting `exporter`, and several backends over real HTTP."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.otlp.support import Endpoint, call, root, step
from tests.support import until
from zespan_serverless import _process, capture, flush, init, shutdown, testing, zespan_lambda
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.several import Several
from zespan_serverless._process import container
from zespan_serverless._record.record import Record
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.zespan import ZespanExporter
from zespan_serverless.settings import Settings
from zespan_serverless.settings._fields import EXPORTERS
from zespan_serverless.testing import Backend, LambdaContext

ROOT = Path(__file__).parents[2]


@pytest.fixture
def second() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def delivery() -> Delivery | Several:
    current = _process.current()
    assert current is not None
    return current.delivery


def operations(backend: Backend) -> list[str]:
    return [event["operation"] for event in backend.events]


def test_every_event_arrives_at_each_backend(backend: Backend, second: Backend) -> None:
    """The same event, with the same ids, encoded by each exporter."""

    @zespan_lambda(base_url=backend.url, exporter=["zespan", ZespanExporter(second.url, "zsp_2")])
    def handler(event: object, context: object) -> None:
        capture({"operation": "step"})

    handler({}, LambdaContext())
    assert sorted(operations(backend)) == ["my-function", "step"]
    assert backend.events == second.events


def test_names_in_the_environment(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """Separated by commas: what is sent is printed, too."""
    os.environ.update(ZESPAN_EXPORTER="zespan, console", ZESPAN_BASE_URL=backend.url)
    init()
    capture({"operation": "x"})
    report = flush()
    assert [(one.destination, one.delivered) for one in report.destinations] == [("zespan", 1), ("console", 1)]
    assert operations(backend) == [json.loads(capsys.readouterr().out)["operation"]] == ["x"]


def test_one_exporter_has_no_layer_in_between() -> None:
    """Neither for one name, nor for a list of one, nor for what is left of a list; and nothing of it is imported."""
    for exporter in ("memory", ["memory"], ["zespan", "memory"]):
        testing.reset()
        init(exporter=exporter)  # type: ignore[arg-type]
        assert type(delivery()) is Delivery
        capture({})
        assert (flush().destination, flush().destinations) == ("", ())
    script = """
        import sys
        from zespan_serverless import zespan_lambda
        from zespan_serverless.testing import LambdaContext

        @zespan_lambda(exporter="memory")
        def handler(event, context):
            return event

        handler({}, LambdaContext())
        print(*(name for name in sys.modules if name.startswith("zespan_serverless")))
    """
    command = [sys.executable, "-c", "\n".join(line[8:] for line in script.splitlines())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[2] for name in done.stdout.split()}
    assert "_delivery.delivery" in loaded
    assert loaded.isdisjoint({"_delivery.several", "_delivery.begun", "_process.destinations", "settings.exporters"})


def test_the_same_place_is_sent_to_once(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Two names that lead to one address by one protocol: the second is left out with a warning."""
    mine = ZespanExporter(backend.url, "zsp_1")
    init(base_url=backend.url, exporter=["zespan", mine, "memory"])
    capture({"operation": "x"})
    assert [one.destination for one in flush().destinations] == ["zespan", "memory"]
    assert operations(backend) == ["x"]
    assert f"nothing is sent to {mine.destination}: that is where zespan sends already" in caplog.text


def test_two_accounts_at_one_place_are_two_destinations(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has a key and a path of its own there, and each gets every event."""
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", endpoint.url)
    monkeypatch.setenv("LANGFUSE_HOST", endpoint.url)
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-1")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-1")
    init(exporter=["phoenix", "langfuse"])
    capture({"operation": "x"})
    assert [(one.destination, one.delivered) for one in flush().destinations] == [("phoenix", 1), ("langfuse", 1)]
    assert len({path for path, _, _ in endpoint.requests}) == 2
    assert "nothing is sent" not in caplog.text


def test_zespan_and_otlp(backend: Backend, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets a span in its own format: the same ids, from one record, which no encoding changes."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")

    @zespan_lambda(base_url=backend.url, exporter=["otlp", "zespan"])
    def handler(event: object, context: object) -> None:
        capture({"operation": "step", "metadata": {"a": [1, {"b": "c"}]}})

    handler({}, LambdaContext())
    spans = {span["spanId"]: span for span in endpoint.spans()}
    assert len(spans) == 2
    assert {event["span_id"]: event["trace_id"] for event in backend.events} == {
        span: spans[span]["traceId"] for span in spans
    }


def test_one_that_cannot_be_built_is_left_out(
    monkeypatch: pytest.MonkeyPatch, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """The others get their events; if there are no others, it fails as it does alone."""
    build = container.build_exporter

    def failing(settings: Any) -> Any:
        if settings.exporter == "console":
            raise OSError("no console here")
        return build(settings)

    monkeypatch.setattr(container, "build_exporter", failing)
    init(base_url=backend.url, exporter=["console", "zespan", "memory"])
    capture({"operation": "x"})
    assert [one.destination for one in flush().destinations] == ["zespan", "memory"]
    assert "nothing is sent to console: OSError: no console here" in caplog.text
    monkeypatch.setattr(container, "build_exporter", lambda _: failing(_process.current()))
    testing.reset()
    with pytest.raises(AttributeError):
        init(exporter=["memory", "console"])


def test_each_has_a_journal_but_those_without_a_backend(tmp_path: Path, backend: Backend, second: Backend) -> None:
    """One file for each destination, and none for what dies with the process."""
    backend.mode = second.mode = "refuse"
    exporters: list[Any] = ["zespan", ZespanExporter(second.url, None), "memory", "console"]
    init(base_url=backend.url, exporter=exporters, journal=str(tmp_path / "journal"), flush_interval=3600.0)
    capture({"operation": "x"})
    files = [*(tmp_path / "journal").glob("*.journal")]
    assert len(files) == 2
    assert len({file.read_bytes()[20:36] for file in files}) == 2  # the fingerprints
    assert len({file.name.rpartition("-")[2] for file in files}) == 2


def test_shutdown_and_a_new_start(backend: Backend, second: Backend) -> None:
    """All are closed, and the next `init` begins with all of them."""
    given: dict[str, Any] = {"base_url": backend.url, "exporter": ["zespan", ZespanExporter(second.url, None)]}
    init(**given)
    capture({"operation": "x"})
    assert shutdown().delivered == 2
    capture({"operation": "late"})
    assert delivery().dropped == {"closed": 2}
    init(**given)
    capture({"operation": "y"})
    assert flush().delivered == 2
    assert operations(backend) == operations(second) == ["x", "y"]


def test_other_sdks_are_flushed_with_all_destinations(backend: Backend, second: Backend) -> None:
    """In one flush, whose report has both."""
    called: list[float] = []
    exporters: list[Any] = ["zespan", ZespanExporter(second.url, None)]
    init(base_url=backend.url, exporter=exporters, flush=[lambda: called.append(1.0)])
    capture({"operation": "x"})
    report = flush()
    assert [one.delivered for one in report.destinations] == [1, 1]
    assert len(report.others) == len(called) == 1


def test_a_recording_replaces_all_destinations(backend: Backend) -> None:
    """In a test nothing is sent, whatever the decorator names."""

    @zespan_lambda(base_url=backend.url, exporter=["zespan", "console"])
    def handler(event: object, context: object) -> None: ...

    with testing.recording() as events:
        handler({}, LambdaContext())
    assert len(events) == 1
    assert backend.events == []
    with testing.recording(exporter=["memory", MemoryExporter()]) as events:
        handler({}, LambdaContext())
        assert len(delivery().deliveries) == 2  # type: ignore[union-attr]
    assert events == []


# ---------------------------------------------------------------------- processes that end

PROGRAM = """
import os, sys, time
from zespan_serverless import capture, flush, init
from zespan_serverless.exporters.zespan import ZespanExporter

exporters = ["zespan", ZespanExporter(os.environ["SECOND_URL"], None)]
init(exporter=exporters, journal=os.environ["JOURNAL"], flush_timeout=1.0)
for name in sys.argv[1:]:
    capture({"operation": name})
flush(0.5)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def program(tmp_path: Path, backend: Backend, second: Backend) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """program(*operations, **env): a process that has captured and flushed them, and waits."""
    started: list[subprocess.Popen[str]] = []

    def program(*names: str, **env: str) -> subprocess.Popen[str]:
        urls = {"ZESPAN_BASE_URL": backend.url, "SECOND_URL": second.url, "ZESPAN_ENABLED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *names],
            cwd=ROOT,
            env={**os.environ, **urls, "JOURNAL": str(tmp_path / "journal"), **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", 500, "refuse", "drop"])
def test_the_next_process_sends_to_each_what_it_has_missed(
    program: Callable[..., subprocess.Popen[str]], backend: Backend, second: Backend, mode: Any
) -> None:
    """And nothing else: what one has had before its process was killed, it does not get again."""
    second.mode = mode
    process = program("a", "b")
    backend.wait_for(2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    second.mode = "ok"
    second_before = len(second.events)
    program("c").communicate(timeout=30)
    until(lambda: {"a", "b", "c"} <= set(operations(second)))
    assert operations(backend) == ["a", "b", "c"]
    ids = {event["event_id"] for event in second.events[second_before:]}
    assert ids == {event["event_id"] for event in backend.events}


@pytest.mark.slow
@pytest.mark.parametrize("exits", [False, True])
@pytest.mark.parametrize("dead", [0, 1])
def test_sigterm_sends_to_one_while_the_other_hangs(
    program: Callable[..., subprocess.Popen[str]], backend: Backend, second: Backend, dead: int, exits: bool
) -> None:
    """In the same quarter of a second; what the other could not have is said, if no journal keeps it.

    Also if the main thread exits at the same time, and flushes as well.
    """
    backends = [backend, second]
    backend.mode = second.mode = "refuse"
    process = program("a", "b", ZESPAN_JOURNAL="off", JOURNAL="off")
    backends[dead].mode, backends[1 - dead].mode = "hang", "ok"
    process.terminate()
    if not exits:
        process.wait(timeout=30)
    _, errors = process.communicate(timeout=30)  # closes stdin, at whose end the program exits
    assert process.returncode == -signal.SIGTERM
    assert sorted(operations(backends[1 - dead])) == ["a", "b"]
    assert backends[dead].events == []
    assert errors.count("telemetry events are being dropped: closed") == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_of_multiprocessing_sends_to_each(backend: Backend, second: Backend) -> None:
    """Its own events, over connections of its own."""
    script = """
import multiprocessing, os
from zespan_serverless import capture, flush, init
from zespan_serverless.exporters.zespan import ZespanExporter

def work():
    capture({"operation": "child"})

init(exporter=["zespan", ZespanExporter(os.environ["SECOND_URL"], None)])
capture({"operation": "parent"})
flush()
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
capture({"operation": "last"})
"""
    urls = {"ZESPAN_BASE_URL": backend.url, "SECOND_URL": second.url, "ZESPAN_ENABLED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **urls}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert operations(backend) == operations(second) == ["parent", "child", "last"]


@pytest.mark.parametrize("make", [call, root, lambda: step("tool", "look up")], ids=["call", "root", "step"])
def test_no_exporter_changes_a_record(make: Callable[[], Record]) -> None:
    """One record is encoded by all destinations: each finds it as it would be if it were the only one."""
    shared = make()
    for _ in range(2):
        for name in EXPORTERS:
            exporter = container.build_exporter(Settings(exporter=name))
            assert exporter.encode(shared) == exporter.encode(make()), name


def test_lines_of_the_log_begin_with_the_name_of_their_destination(
    backend: Backend, second: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """Two backends that do not answer are two lines, each with its name."""
    backend.mode = second.mode = "refuse"
    mine = ZespanExporter(second.url, None)
    init(base_url=backend.url, exporter=["zespan", mine])
    with caplog.at_level(logging.WARNING, "zespan_serverless"):
        capture({})
        flush(0.3)
    lines = [record.getMessage() for record in caplog.records if "cannot be delivered" in record.getMessage()]
    assert sorted(line.split(": ")[1] for line in lines) == sorted([mine.destination, "zespan"])
