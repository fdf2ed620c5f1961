"""`@zespan_openwhisk` in a process that is called as OpenWhisk's launcher is, and stopped after each result."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks
from tests.environments import installed
from tests.faas.support import APPS, trace, traceparent, variables
from tests.hosts import Cell
from tests.support import TRACE, TRACEPARENT, Event, below, calls, roots
from zespan_serverless import zespan_openwhisk
from zespan_serverless._record.invocation import Result
from zespan_serverless.openwhisk import OpenWhiskHost
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=2)

API = "https://faas-nyc1-2ef2e6cc.doserverless.co"
LAUNCHER = APPS / "launcher.py"


class Container:
    """A container with a function. `activate` returns its result; the container is paused before and afterwards."""

    def __init__(self, function: str, env: dict[str, str], file: Path = APPS / "on_openwhisk.py") -> None:
        reading, writing = os.pipe()
        command = f"exec '{installed('faas', 'functions')}' -W ignore '{LAUNCHER}' '{file}' {function} 3>&{writing}"
        self.process = subprocess.Popen(
            ["bash", "-c", command], stdin=subprocess.PIPE, env=env, pass_fds=[writing], start_new_session=True
        )
        os.close(writing)
        self._results = os.fdopen(reading)
        assert json.loads(self._results.readline()) == {"ok": True}

    def activate(self, event: Any, *, seconds: float = 60) -> Any:
        activation = {
            "value": event,
            "action_name": "/fn-1/shop/chat",
            "action_version": "0.0.2",
            "activation_id": "activation-1",
            "namespace": "fn-1",
            "api_host": API,
            "deadline": str(int((time.time() + seconds) * 1000)),
        }
        os.killpg(self.process.pid, signal.SIGCONT)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(activation).encode() + b"\n")
        self.process.stdin.flush()
        result = json.loads(self._results.readline())
        os.killpg(self.process.pid, signal.SIGSTOP)
        return result

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._results.close()


@contextmanager
def container(function: str, env: dict[str, str], file: Path = APPS / "on_openwhisk.py") -> Iterator[Container]:
    started = Container(function, env, file)
    try:
        yield started
    finally:
        started.close()


def web(number: int, kind: str = "") -> dict[str, Any]:
    """The event of a web function on DigitalOcean."""
    headers = {"Traceparent": traceparent(number), "user-agent": "curl"}
    return {"kind": kind, "http": {"headers": headers, "method": "POST", "path": "/chat"}}


def test_no_event_is_lost_when_a_container_is_paused(ingest: Backend, model: ModelEndpoint, cell: Cell) -> None:
    """Every event has been sent when the result is there: in the caller's trace, with the outcome, the activation, and
    the function. A call whose backend hangs keeps its deadline, and its events come with the next one."""
    kinds = ["", "503", "404", "error", "raises"]
    env = variables(ingest, model.url, ZESPAN_FLUSH_TIMEOUT="25", ZESPAN_FLUSH_RESERVE="1.5")
    with container("of_one", env) as function:
        for number, kind in enumerate(kinds):
            function.activate(web(number, kind))
            assert len(ingest.events) == 2 * (number + 1)
        ingest.mode = "hang"
        began = time.monotonic()
        assert function.activate({}, seconds=3) == {"body": "one"}
        assert time.monotonic() - began < 3
        ingest.mode = "ok"
        raw = {"__ow_method": "get", "__ow_path": "", "__ow_headers": {"traceparent": traceparent(9)}}
        assert function.activate(raw) == {"body": "one"}
    events = ingest.events
    assert len(events) == 2 * (len(kinds) + 2)
    found = {root["trace_id"]: root for root in roots(events) if len(below(root, calls(events))) == 1}
    seen = [found[trace(number)] for number in range(len(kinds))]
    assert [root["status"] for root in seen] == ["success", "error", "success", "error", "error"]
    assert [root["metadata"].get("http.response.status_code") for root in seen] == [None, 503, 404, None, None]
    assert [root["error_message"] for root in seen[3:]] == ["no such text", "mine"]
    first, last = seen[0]["metadata"], found[trace(9)]["metadata"]
    assert (first["faas.name"], first["faas.invocation_id"], first["faas.version"]) == (
        "shop/chat",
        "activation-1",
        "0.0.2",
    )
    assert (first["faas.trigger"], first["http.request.method"], first["url.path"]) == ("http", "POST", "/chat")
    assert (first["cloud.provider"], first["cloud.region"], first["start_kind"]) == ("digitalocean", "nyc1", "cold")
    assert (last["http.request.method"], last["url.path"], last["start_kind"]) == ("get", "/", "warm")
    assert 0 < first["time_left_at_start_ms"] <= 60_000
    whole = "Everything arrives before the result."
    cell("OpenWhisk", "sync", whole, sent="before the result", later="the round trip to the backend")
    cell("OpenWhisk", "async", "The runtime awaits nothing.")
    cell("OpenWhisk", "stream", "There are none.")
    cell("OpenWhisk", "exception", "Everything arrives, with type and text; or with the `error` of a result.")
    cell("OpenWhisk", "concurrent", "A container has one activation at a time.")
    cell("OpenWhisk", "SIGTERM", "OpenWhisk sends none: by its source, a container is killed.", stopped="there is none")
    outage = "Everything arrives once it is back; a result waits for `flush_timeout`, but not beyond the deadline."
    cell("OpenWhisk", "dead backend", outage, outage="kept, then sent; results wait, within the deadline")
    cell(
        "OpenWhisk",
        "deadline",
        "The flush ends `flush_reserve` before it; everything arrives with the next activation.",
    )


@pytest.mark.parametrize("function", ["of_none", "of_two"])
def test_the_runtime_passes_what_the_function_takes(ingest: Backend, model: ModelEndpoint, function: str) -> None:
    """A decorated function gets as many arguments as it would get without the decorator."""
    before = len(ingest.events)
    with container(function, variables(ingest, model.url)) as started:
        result = started.activate({"a": 1})
    assert result["body"] == ("none" if function == "of_none" else "/fn-1/shop/chat")
    assert function == "of_none" or 0 < result["left"] <= 60_000
    assert len(ingest.events) == before + 2


def test_the_function_of_the_page(ingest: Backend, model: ModelEndpoint, tmp_path: Path) -> None:
    """It answers, and the model call is in the trace of the activation, which is the caller's."""
    (file := tmp_path / "__main__.py").write_text(blocks(PAGES["hosts/digitalocean"])[0])
    before = len(ingest.events)
    with container("main", variables(ingest, model.url), file) as function:
        answer = function.activate({"prompt": "Hi", "http": {"method": "GET", "headers": {"traceparent": TRACEPARENT}}})
    assert answer["body"] == {"answer": "Hello, serverless world!"}
    events: list[Event] = ingest.events[before:]
    assert {event["trace_id"] for event in events} == {TRACE}
    assert (len(events), len(roots(events))) == (2, 1)


def test_a_decorated_function_is_called_as_before() -> None:
    """By keyword, with defaults, and with too few arguments, as in the user's own tests."""

    @zespan_openwhisk
    def main(event: Any, context: Any = "default") -> Any:
        return event, context

    assert (main(event=1), main(1), main(1, context=2), main(1, 2)) == ((1, "default"), (1, "default"), (1, 2), (1, 2))
    assert zespan_openwhisk(main) is main
    assert str(inspect.signature(main)) == "(event: 'Any', context: 'Any' = 'default') -> 'Any'"
    with pytest.raises(TypeError, match=r"main\(\) missing 1 required positional argument: 'event'"):
        main()  # type: ignore[call-arg]


def test_an_error_whose_status_is_no_number_is_an_error() -> None:
    """OpenWhisk fails an activation with `error`; only one with a status is a response."""
    host = OpenWhiskHost()
    assert host.result({"error": {"statusCode": 404}}).status == 404
    assert host.result({"error": {"statusCode": "500"}}).error_type == "error"
    assert host.result({"error": {}}) == host.result({}) == Result()
