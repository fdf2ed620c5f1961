"""HTTP streams: the worker's own web server reads a body whose function has long returned."""

from __future__ import annotations

import http.client
import json
import statistics
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.azure_functions.support import Answer, StartWorker, Worker
from tests.hosts import Cell, later
from tests.support import SPAN, TRACE, calls, roots, until
from zespan_serverless import testing

pytestmark = pytest.mark.host


@contextmanager
def requested(app: Worker, function: str) -> Iterator[tuple[http.client.HTTPResponse, Future[Answer]]]:
    """The response as the host gets it, and what the invocation comes to: the host asks for both, over two ways."""
    invocation_id = str(uuid.uuid4())
    request = urllib.request.Request(
        f"{app.http_url}/api/{function}?q=1", headers={"x-ms-invocation-id": invocation_id}
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(app.http, function, invocation_id=invocation_id)
        with urllib.request.urlopen(request, timeout=10) as response:
            yield response, answer


def first_byte_ms(app: Worker, function: str) -> float:
    began = time.perf_counter()
    with requested(app, function) as (response, _):
        response.readline()
        took = time.perf_counter() - began
        response.read()
    return took * 1000


def test_a_stream_is_one_invocation_to_its_last_piece(
    worker: StartWorker, backend: testing.Backend, cell: Cell
) -> None:
    """Pieces come as they are made, in the invocation's trace, each where the body has come to; its event ends last."""
    app = worker("streams")
    with requested(app, "stream") as (response, answer):
        assert response.status == 202
        lines = [response.readline().decode().split()]
        assert backend.events == []
        lines += [line.decode().split() for line in response]
        assert answer.result(10).ok
    *pieces, body, root = backend.wait_for(5)
    assert [piece["operation"] for piece in pieces] == ["piece 0", "piece 1", "piece 2"]
    assert {piece["parent_span_id"] for piece in pieces} == {body["span_id"]}
    assert [line[1] for line in lines] == [f"00-{TRACE}-{body['span_id']}-01"] * 3
    assert (body["operation"], body["parent_span_id"]) == ("pieces", root["span_id"])
    assert (root["operation"], root["parent_span_id"], root["status"]) == ("stream", SPAN, "success")
    assert root["metadata"]["http.response.status_code"] == 202
    assert root["latency_ms"] >= 100
    both = [(first_byte_ms(app, "stream"), first_byte_ms(app, "plain")) for _ in range(5)]
    more = statistics.median(a for a, _ in both) - statistics.median(b for _, b in both)
    seen = f"Everything arrives after the last piece; the first piece is {later(more)} later."
    cell("Azure Functions", "stream", seen)


@pytest.mark.parametrize(("function", "body"), [("syncstream", b"a\nb\n"), ("json", None)])
def test_sync_functions_may_stream_and_others_end_at_their_return(
    worker: StartWorker, backend: testing.Backend, function: str, body: bytes | None
) -> None:
    """A function in a thread may stream, too; a response that is none ends with the function."""
    app = worker("streams")
    with requested(app, function) as (response, _):
        seen = response.read()
    assert seen == body if body else json.loads(seen)["trace"].startswith(f"00-{TRACE}-")
    (event,) = backend.wait_for(1)
    assert (event["operation"], event["status"]) == (function, "success")
    assert event["metadata"]["http.route"] == f"/api/{function}"


def test_a_stream_that_breaks_is_an_error(worker: StartWorker, backend: testing.Backend) -> None:
    """What the body raises is the server's to handle as ever, and on the event."""
    app = worker("streams")
    with requested(app, "breaks") as (response, _), pytest.raises(http.client.IncompleteRead):
        response.read()
    (event,) = backend.wait_for(1)
    assert (event["status"], event["error_message"]) == ("error", "the model is gone")
    assert 'RuntimeError("the model is gone")' in app.log()


def test_an_abandoned_stream_ends_the_invocation(worker: StartWorker, backend: testing.Backend) -> None:
    """The client leaves after the first piece: the event is sent, and the body is closed."""
    app = worker("streams")
    url, invocation_id = urlsplit(app.http_url), str(uuid.uuid4())
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(app.http, "long", invocation_id=invocation_id)
        connection.request("GET", "/api/long", headers={"x-ms-invocation-id": invocation_id})
        connection.getresponse().readline()
        connection.close()
        assert answer.result(10).ok
    until(lambda: roots(backend.events))
    (event,) = roots(backend.events)
    assert (event["operation"], event["status"], event["metadata"]["client_disconnected"]) == ("long", "success", True)


def test_a_streamed_model_call(worker: StartWorker, backend: testing.Backend, model: ModelEndpoint) -> None:
    """The model is called while the body is read, and its event is below the function's."""
    app = worker("streams", OPENAI_BASE_URL=model.url, OPENAI_API_KEY="sk-local")
    with requested(app, "ask") as (response, _):
        assert response.read() == b"Hello, serverless world!"
    (llm,), (root,) = calls(backend.wait_for(2)), roots(backend.events)
    assert (llm["stream"], llm["trace_id"], llm["parent_span_id"]) == (True, TRACE, root["span_id"])


def test_before_return_sends_before_the_last_piece(worker: StartWorker, backend: testing.Backend) -> None:
    """The end of the body waits for the flush; other requests are answered meanwhile."""
    backend.mode = "hang"
    app = worker("streams", ZESPAN_FLUSH_MODE="before_return", ZESPAN_FLUSH_TIMEOUT="20")
    with requested(app, "syncstream") as (response, _):
        assert [response.readline(), response.readline()] == [b"a\n", b"b\n"]
        until(lambda: backend.requests)
        with requested(app, "plain") as (other, _):
            assert len(other.read().splitlines()) == 3
        backend.mode = "ok"
        assert response.read() == b""
    assert [event["operation"] for event in roots(backend.events)] == ["syncstream"]


def test_sigterm_lets_the_server_end_as_it_would(worker: StartWorker, backend: testing.Backend) -> None:
    """The worker's web server has a handler of its own: what is left is sent, then it shuts down, then the process."""
    app = worker("streams")
    with requested(app, "json") as (response, _):
        response.read()
    assert app.terminate() == -15
    assert [event["operation"] for event in backend.events] == ["json"]
    assert "Finished server process" in app.log()
