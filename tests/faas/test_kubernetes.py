"""Functions of OpenFaaS and Knative, on the servers that their templates use."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks
from tests.environments import installed
from tests.faas.support import APPS, trace, traceparent, variables
from tests.hosts import Cell, Situation
from tests.support import ROOT, TRACE, TRACEPARENT, Event, Served, below, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=3)

HANDLER, FUNCTION = blocks(PAGES["hosts/kubernetes"])
BARE = """
from openai import OpenAI

client = OpenAI()


def handle(event, context):
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    return {"statusCode": 200, "body": {}}
"""
CLOUD_EVENTS = """
from cloudevents.core.v1.event import CloudEvent

from zespan_serverless.asgi import ZespanMiddleware


class Function:
    def __init__(self):
        self.handle = ZespanMiddleware(self.handle)

    async def handle(self, scope, receive, send):
        how = scope["event"].get_type()
        answer = CloudEvent(attributes={"type": how, "source": "function", "id": "1"}, data={"message": "OK"})
        await (send(answer, 201) if how == "called" else getattr(send, how)(answer))


def new():
    return Function()
"""
KNATIVE = {"K_SERVICE": "chat", "K_REVISION": "chat-00001", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}

Start = Callable[..., Served]
_numbers = itertools.count()


@pytest.fixture
def serve(backend: Backend, model: ModelEndpoint, tmp_path: Path) -> Iterator[Start]:
    """serve(program, function, **variables): a server with the function; it is killed after the test."""
    with ExitStack() as stack:

        def start(program: str, function: str, **env: str) -> Served:
            (file := tmp_path / f"function{next(_numbers)}.py").write_text(function)
            port = 26_000 + (os.getpid() * 101 + next(_numbers)) % 6_000  # below those that clients get
            command = [str(installed("faas", "functions")), "-W", "ignore", str(APPS / program), str(file)]
            environ = variables(backend, model.url, PORT=str(port), **env)
            return stack.enter_context(Served(command, port, APPS, environ))

        yield start


def ten_requests(server: Served, backend: Backend) -> int | None:
    """Send ten requests, and SIGTERM when the last response is there. The backend hangs until then. Return the exit
    code of the server."""
    backend.mode = "hang"
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda n: server.ask("/chat", {"prompt": "Hi"}, traceparent=traceparent(n)), range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    backend.mode = "ok"
    server.terminate()
    return server.wait().code


@pytest.mark.parametrize(
    ("program", "function", "how"),
    [
        ("openfaas_index.py", HANDLER, "handler"),
        ("openfaas_index.py", BARE, "middleware"),
        ("knative_main.py", FUNCTION, "middleware"),
    ],
)
def test_nothing_is_lost_at_sigterm(
    serve: Start, backend: Backend, cell: Cell, program: str, function: str, how: str
) -> None:
    """No response waits for a backend that hangs. SIGTERM right after the last response: every request has its event,
    in its caller's trace, and the server ends as it does without the package."""
    bare = serve(program, function, HOW="off", ZESPAN_ENABLED="0")
    bare.ask("/chat", {"prompt": "Hi"})
    bare.terminate()
    codes, events = set(), list[Event]()
    for _ in range(3):  # at SIGTERM waitress ends after 0.25 s, which may be too short on a busy machine
        before = len(backend.events)
        codes.add(ten_requests(serve(program, function, HOW=how, **KNATIVE), backend))
        events = backend.events[before:]
        if len(events) == 20:
            break
    assert codes == {bare.wait().code}
    assert {root["trace_id"] for root in roots(events)} == {trace(number) for number in range(10)}
    assert [len(below(root, calls(events))) for root in roots(events)] == [1] * 10
    seen = roots(events)[0]["metadata"]
    assert (seen["http.request.method"], seen["url.path"], seen["http.response.status_code"]) == ("POST", "/chat", 200)
    assert "cloud.provider" not in seen
    host = "Knative" if function is FUNCTION else "OpenFaaS"
    kind: Situation = "async" if host == "Knative" else "sync"
    later = "it does not wait"
    cell(host, kind, "Everything arrives after the response.", sent="after the response", later=later)
    cell(host, "sync" if kind == "async" else "async", "Its functions are of the other kind.")
    cell(host, "stream", "Not tested: hypercorn's are, see web servers." if kind == "async" else "There are none.")
    cell(host, "concurrent", "Each of 10 requests, five at once, is in its own trace.")
    stopped = f"Everything arrives. Exit {bare.wait().code}, as without the package."
    cell(host, "SIGTERM", stopped, stopped="everything is sent")
    outage = "No response waits for a backend that hangs; everything arrives once it is back."
    cell(host, "dead backend", outage, outage="kept, then sent")
    cell(host, "deadline", "None is known.")


def test_an_exception_on_openfaas(serve: Start, backend: Backend, cell: Cell) -> None:
    """The server answers with 500, and the event has type and text."""
    server = serve("openfaas_index.py", HANDLER)
    assert server.ask("/chat", {"other": "Hi"}, traceparent=TRACEPARENT).status == 500
    (root,) = backend.wait_for(1)
    assert (root["status"], root["metadata"]["error.type"]) == ("error", "KeyError")
    cell("OpenFaaS", "exception", "Everything arrives, with type and text; the response is 500.")


def test_health_checks_and_an_exception_on_knative(serve: Start, backend: Backend, cell: Cell) -> None:
    """Health checks have no event; a request has the name and the revision of the function, and an exception its type
    and text, whatever the server answers."""
    server = serve(
        "knative_main.py", FUNCTION.replace("as client:", "as client:\n            self.fails(scope)"), **KNATIVE
    )
    assert server.ask("/health/liveness").status == server.ask("/health/readiness").status == 200
    with contextlib.suppress(http.client.HTTPException):  # func-python's own answer is broken off
        assert server.ask("/").status == 500
    (root,) = roots(backend.wait_for(1))
    assert (root["metadata"]["faas.name"], root["metadata"]["faas.version"]) == ("chat", "chat-00001")
    assert (root["status"], root["metadata"]["error.type"]) == ("error", "AttributeError")
    cell("Knative", "exception", "Everything arrives, with type and text; `func-python`'s answer is broken off.")


def test_cloud_events_are_answered_by_every_method_of_the_sender(serve: Start, backend: Backend) -> None:
    """`send(event, status)`, `send.structured` and `send.binary` work as without the package, and each request has its
    event, with its status."""
    server = serve("knative_main.py", CLOUD_EVENTS, INVOKE="cloudevent")
    about = {"ce-id": "1", "ce-source": "test", "ce-specversion": "1.0"}
    for how in ("called", "structured", "binary"):
        assert server.ask("/", {}, **about, **{"ce-type": how}).status == (201 if how == "called" else 200)
    seen = [root["metadata"] for root in roots(backend.wait_for(3))]
    assert sorted(root["http.response.status_code"] for root in seen) == [200, 200, 201]


def test_the_example_of_openfaas_reads_its_keys_from_files(serve: Start, backend: Backend, tmp_path: Path) -> None:
    """Without a key in its environment it sends the request and the model call, in the caller's trace."""
    for name in ("zespan-api-key", "openai-api-key"):
        (tmp_path / name).write_text("zsp_test\n")
    handler = (ROOT / "examples/kubernetes/openfaas/chat/handler.py").read_text()
    server = serve("openfaas_index.py", handler, SECRETS=str(tmp_path), ZESPAN_API_KEY="", OPENAI_API_KEY="")
    assert server.ask("/chat", {"prompt": "Hi"}, traceparent=TRACEPARENT).status == 200
    events = backend.wait_for(2)
    assert {event["trace_id"] for event in events} == {TRACE}
    assert (len(roots(events)), len(calls(events))) == (1, 1)
