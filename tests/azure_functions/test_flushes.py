"""When events are sent, and what a bad backend, a short timeout or SIGTERM does to them and to the function."""

from __future__ import annotations

import json
import statistics
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.azure_functions.support import StartWorker
from tests.hosts import Cell, later
from tests.support import until
from zespan_serverless import testing

pytestmark = pytest.mark.host


FOREVER = "60"  # seconds, more than any test waits


@pytest.mark.parametrize("mode", ["hang", "refuse", 503])
def test_a_dead_backend_costs_the_caller_nothing(
    worker: StartWorker, backend: testing.Backend, cell: Cell, mode: Any
) -> None:
    """No answer waits for it; when it is back, every event arrives, by itself."""
    backend.mode = mode
    app = worker("main", ZESPAN_FLUSH_TIMEOUT="0.2", ZESPAN_FLUSH_INTERVAL="0.1")
    answers = [app.http(function) for function in ["hello", "ahello"] * 10]
    assert all(answer.ok for answer in answers)
    backend.mode = "ok"
    assert len(backend.wait_for(20, timeout=20)) == 20
    slowest, middle = max(answer.ms for answer in answers[2:]), statistics.median(answer.ms for answer in answers)
    seen = f"Everything arrives once it is back; a response takes {later(middle)}, the slowest {later(slowest)}."
    cell("Azure Functions", "dead backend", seen, outage="kept, then sent")


@pytest.mark.parametrize("function", ["hello", "ahello"])
def test_before_return_has_it_all_delivered(worker: StartWorker, backend: testing.Backend, function: str) -> None:
    """When the host has the answer, the backend has the event."""
    app = worker("main", ZESPAN_FLUSH_MODE="before_return")
    assert app.http(function).ok
    assert len(backend.events) == 1


@pytest.mark.parametrize("function", ["boom", "aboom"])
def test_before_return_holds_for_exceptions_too(worker: StartWorker, backend: testing.Backend, function: str) -> None:
    """The function's exception comes after the flush, and is the same."""
    app = worker("main", ZESPAN_FLUSH_MODE="before_return")
    assert app.http(function).exception == "ValueError: no such thing"
    assert len(backend.events) == 1


def test_a_waiting_flush_does_not_block_the_event_loop(worker: StartWorker, backend: testing.Backend) -> None:
    """While an async function's flush hangs, the worker answers another one."""
    backend.mode = "hang"
    app = worker("main", ZESPAN_FLUSH_MODE="before_return", ZESPAN_FLUSH_TIMEOUT="20")
    waiting = threading.Thread(target=app.http, args=("ahello",))
    waiting.start()
    until(lambda: backend.requests)
    assert app.http("aplain").ok
    assert waiting.is_alive()
    backend.mode = "ok"
    waiting.join()


@pytest.mark.parametrize("function", ["work", "awork"])
def test_no_flush_goes_into_the_reserve(
    worker: StartWorker, backend: testing.Backend, cell: Cell, function: str
) -> None:
    """host.json gives the function two seconds: a flush that would take a minute ends before they are over."""
    backend.mode = "hang"
    app = worker(
        "bounded", ZESPAN_FLUSH_MODE="before_return", ZESPAN_FLUSH_TIMEOUT=FOREVER, ZESPAN_FLUSH_INTERVAL="0.1"
    )
    answer = app.http(function)
    assert (answer.ok, answer.body) == (True, "done")
    backend.mode = "ok"
    app.http("aplain")
    (event,) = backend.wait_for(1, timeout=10)
    assert 0 < event["metadata"]["time_left_at_end_ms"] <= 1800
    left = 2000 - answer.ms
    seen = f"With `before_return` the flush of a hung backend left {left:.0f} of 2,000 ms. The kill is not tested."
    cell("Azure Functions", "deadline", seen)


def test_flush_by_hand_knows_the_deadline(worker: StartWorker, backend: testing.Backend) -> None:
    """flush() without a timeout takes what the function has left, less the reserve."""
    backend.mode = "hang"
    app = worker("bounded")
    app.http("work")
    assert app.http("byhand").body == "deadline"


@pytest.mark.parametrize("setting", ["-1", "00:00:00", "nonsense"])
def test_no_deadline_where_none_is_known(worker: StartWorker, backend: testing.Backend, setting: str) -> None:
    """An app setting overrides host.json; with no limit, or nonsense, nothing is said of the time left."""
    worker("bounded", AzureFunctionsJobHost__functionTimeout=setting).http("work")
    (event,) = backend.wait_for(1)
    assert "time_left_at_start_ms" not in event["metadata"]


def test_sigterm_sends_what_is_left(worker: StartWorker, backend: testing.Backend, cell: Cell) -> None:
    """The worker is told to go right after an answer: its event arrives, and the exit code is what Azure knows."""
    app = worker("signals")
    assert app.http("quick").ok
    assert app.terminate() == -15
    assert [event["operation"] for event in backend.events] == ["quick"]
    seen = "What is left arrives, and the signal ends the process. What is in flight by then is lost."
    cell("Azure Functions", "SIGTERM", seen, stopped="everything in memory is sent")


def test_sigterm_under_way(worker: StartWorker, backend: testing.Backend, tmp_path: Path) -> None:
    """A function in a thread does not keep the worker, as without us; what it has captured so far arrives."""
    app, begun = worker("signals"), tmp_path / "begun"
    ended: list[object] = []

    def ask() -> None:
        try:
            ended.append(app.http("slow", path=f"slow?begun={begun}"))
        except ConnectionError as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(begun.exists)
    assert app.terminate() == -15
    asking.join()
    assert isinstance(ended[0], ConnectionError)
    assert "step" in [event["operation"] for event in backend.events]


def test_a_handler_of_the_user_s_has_its_turn(worker: StartWorker, backend: testing.Backend, tmp_path: Path) -> None:
    """What is left is sent first; then the user's handler decides how the process ends."""
    mark = tmp_path / "mark"
    app = worker("signals", MARK=str(mark))
    app.http("quick")
    assert app.terminate() == 7
    assert mark.read_text() == "the user's handler"
    assert [event["operation"] for event in backend.events] == ["quick"]


def test_sigterm_before_anything_was_called(worker: StartWorker, backend: testing.Backend) -> None:
    """A worker that has only imported its functions ends at once, and nothing has been sent."""
    assert worker("signals").terminate() == -15
    assert backend.requests == []


def test_an_exit_in_a_function_ends_the_worker_as_ever(worker: StartWorker, backend: testing.Backend) -> None:
    """SystemExit in a task ends the event loop, and with it the worker: what is left is sent on its way out."""
    app = worker("signals")
    with pytest.raises(ConnectionError):
        app.http("leaves")
    assert [(event["operation"], event["status"]) for event in backend.wait_for(1)] == [("leaves", "error")]
    assert app.wait() == 3


@pytest.mark.parametrize("mode", ["before_return", "after_response"])
def test_on_flush_is_called(worker: StartWorker, backend: testing.Backend, tmp_path: Path, mode: str) -> None:
    """`on_flush` is called for background flushes and for those that an async function waits for."""
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"}))
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "from zespan_serverless import zespan_azure\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "REPORTS = []\n"
        "@app.route(route='one')\n"
        "@zespan_azure(on_flush=REPORTS.append)\n"
        "async def one(req: func.HttpRequest) -> str:\n"
        "    return str([report.delivered for report in REPORTS])\n"
    )
    app = worker(tmp_path, ZESPAN_FLUSH_MODE=mode)
    until(lambda: app.http("one").body != "[]")
