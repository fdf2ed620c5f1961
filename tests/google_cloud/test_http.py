"""HTTP functions on the functions framework: Flask under gunicorn's threads, Starlette under its Uvicorn worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.google_cloud.support import CLOUD_RUN, Function
from tests.hosts import Cell, Situation, later
from tests.support import SPAN, TRACE, TRACEPARENT, added, below, roots, until
from zespan_serverless.testing import Backend

Start = Callable[..., Function]


class Flavour(NamedTuple):
    host: str
    source: str
    situation: Situation


SYNC = Flavour("Google functions, sync (gthread)", "sync.py", "sync")
ASYNC = Flavour("Google functions, async (UvicornWorker)", "asynchronous.py", "async")
both = pytest.mark.parametrize("flavour", [SYNC, ASYNC], ids=["sync", "async"])


@both
def test_when_the_caller_has_the_answer_the_backend_has_the_events(
    flavour: Flavour, start: Start, backend: Backend, cell: Cell
) -> None:
    """The flush is over before the response ends: Cloud Run takes the CPU away then. One trace, the framework's id."""
    backend.latency = 0.03
    function, bare = start("chat", flavour.source), start("bare", flavour.source)
    for _ in range(3):
        assert function.ask("/llm", traceparent=TRACEPARENT).status == 200
        assert len(roots(backend.events)) * 2 == len(backend.events)  # now, and not a little later
    llm, root = backend.events[-2:]
    assert below(root, [llm]) == [llm]
    assert (root["trace_id"], root["parent_span_id"], root["operation"]) == (TRACE, SPAN, "chat")
    about = root["metadata"]
    assert len(about["faas.invocation_id"]) == 12
    assert (about["faas.name"], about["faas.version"], about["faas.trigger"]) == ("chat", "chat-00007-abc", "http")
    assert (about["cloud.provider"], about["cloud.platform"]) == ("gcp", "gcp_cloud_functions")
    assert (about["gcp.function.target"], about["gcp.cloud_run.configuration"]) == ("chat", "chat")
    assert (about["http.request.method"], about["url.path"]) == ("GET", "/llm")
    assert (about["http.response.status_code"], about["start_kind"]) == (200, "warm")
    assert roots(backend.events)[0]["metadata"]["start_kind"] == "cold"
    ms = added(function, bare)
    after = start("above", flavour.source)
    seen = f"Everything arrives before the response ends, which is {later(ms)} later; the backend is 30 ms away. "
    seen += f"With `after_response` it is {later(added(after, bare))} later."
    backend.wait_for(len(backend.events))
    sent = "before the response ends"
    cell(flavour.host, flavour.situation, seen, sent=sent, later="the round trip to the backend")
    cell(flavour.host, "async" if flavour is SYNC else "sync", "See the other line.")


@both
def test_without_a_header_the_trace_is_google_s(flavour: Flavour, start: Start, backend: Backend) -> None:
    """X-Cloud-Trace-Context, its span decimal, is the parent where there is no traceparent; Google's id is kept."""
    function = start("chat", flavour.source)
    google = f"{TRACE}/{int(SPAN, 16)};o=0"
    function.ask("/", X_Cloud_Trace_Context=google, Function_Execution_Id="abcdef123456")
    function.ask("/", X_Cloud_Trace_Context=f"{'1' * 32}/1;o=1", traceparent=TRACEPARENT)
    function.ask("/", X_Cloud_Trace_Context="nonsense")
    first, second, third = roots(backend.events)
    assert (first["trace_id"], first["parent_span_id"]) == (TRACE, SPAN)
    assert first["metadata"]["faas.invocation_id"] == "abcdef123456"
    assert (second["trace_id"], second["parent_span_id"]) == (TRACE, SPAN)
    assert third["parent_span_id"] is None


@both
def test_the_framework_s_decorator_may_be_below(flavour: Flavour, start: Start, backend: Backend) -> None:
    """In either order, and with after_response no client waits for a slow backend."""
    backend.latency = 0.3
    function = start("above", flavour.source)
    assert function.ask("/").body == b"hello"
    assert backend.events == []
    assert backend.wait_for(1)[0]["operation"] == "chat"


@both
def test_exceptions_and_aborts_are_the_function_s_own(
    flavour: Flavour, start: Start, backend: Backend, cell: Cell
) -> None:
    """An exception is the framework's to answer, with its type and text on the event; an abort is a response."""
    function, off = start("chat", flavour.source), start("chat", flavour.source, ZESPAN_ENABLED="0")
    for path in ("/boom", "/abort", "/unavailable"):
        ours, theirs = function.ask(path), off.ask(path)
        assert (ours.status, ours.body) == (theirs.status, theirs.body)
    boom, abort, unavailable = roots(backend.events)
    assert (boom["status"], boom["error_message"]) == ("error", "boom")
    assert boom["metadata"]["error.type"] == "ValueError"
    assert (abort["status"], abort["metadata"]["http.response.status_code"]) == ("success", 404)
    assert (unavailable["status"], unavailable["error_message"]) == ("error", "HTTP 503")
    more = later(added(function, off, "/boom"))
    cell(flavour.host, "exception", f"Everything arrives, with type and text; the response is {more} later.")


def test_a_function_that_returns_nothing(start: Start, backend: Backend) -> None:
    """Flask answers 500, and so says the event."""
    assert start("chat", "sync.py").ask("/nothing").status == 500
    assert roots(backend.events)[0]["error_message"] == "HTTP 500"


@pytest.mark.parametrize(
    ("source", "path", "status"),
    [
        ("sync.py", "/generator", 200),
        ("sync.py", "/tuple", 201),
        ("sync.py", "/response", 202),
        ("asynchronous.py", "/", 201),
    ],
)
def test_streamed_response_ends_the_root_event_with_its_last_piece(
    source: str, path: str, status: int, start: Start, backend: Backend, tmp_path: Path, cell: Cell
) -> None:
    """Every piece comes when it is made; steps and LLM calls are in the trace; the root event ends with the body."""
    backend.latency = 0.03
    function = start("stream", source)
    (tmp_path / "0").touch()  # gunicorn sends the headers with the first piece
    with function.open(f"{path}?gate={tmp_path}") as response:
        assert response.status == status
        for number in range(3):
            assert roots(backend.events) == []
            (tmp_path / str(number)).touch()
            assert response.readline().startswith(b"%d " % number)
        assert response.read() == b""
    (root,) = roots(backend.events)  # now: the last chunk has waited for it
    steps = below(root, backend.events)
    assert [step["operation"] for step in steps] == ["piece 0", "piece 1", "piece 2"]
    (llm,) = [event for event in backend.events if event["span_kind"] == "llm"]
    assert below(steps[1], [llm]) == [llm]
    assert root["metadata"]["http.response.status_code"] == status
    if path in ("/generator", "/"):
        flavour = SYNC if source == "sync.py" else ASYNC
        ms = added(function, start("stream", source, ZESPAN_ENABLED="0"), path)
        seen = f"Each piece passes at once; everything arrives before the last one, which is {later(ms)} later."
        cell(flavour.host, "stream", seen)


@both
def test_error_of_a_broken_stream_is_on_the_root_event(flavour: Flavour, start: Start, backend: Backend) -> None:
    """A generator that fails has its error on the root event, and the client sees a body that breaks off."""
    with start("stream", flavour.source).open("/broken") as response, pytest.raises(Exception, match="IncompleteRead"):
        response.read()
    (root,) = roots(backend.wait_for(1))
    assert (root["status"], root["error_message"]) == ("error", "broken")


def test_stream_from_a_sync_generator_on_the_async_server(start: Start, backend: Backend) -> None:
    """Starlette runs it in threads; its LLM call is in the trace all the same."""
    assert start("stream", "asynchronous.py").ask("/threads").status == 200
    (root,) = roots(backend.events)
    assert [step["operation"] for step in below(root, backend.events)] == ["piece 0", "piece 1", "piece 2"]


def test_client_that_leaves_a_stream_is_no_error_of_the_function(start: Start, backend: Backend) -> None:
    """The root event says so, and the function is not to blame."""
    with start("stream", "asynchronous.py").open("/endless") as response:
        response.readline()
    (root,) = roots(backend.wait_for(1))
    assert (root["status"], root["metadata"]["client_disconnected"]) == ("success", True)


def test_bodies_that_are_complete_are_passed_on_as_they_are(start: Start, backend: Backend) -> None:
    """A file that Flask sends, a HEAD request, and a body whose length is known: one event each, none cut off."""
    function = start("stream", "sync.py")
    assert function.ask("/file").body == (Path(__file__).parent / "functions" / "sync.py").read_bytes()
    assert function.ask("/generator", method="HEAD").status == 200
    assert function.ask("/sized").body == b"12345"
    assert len(roots(backend.wait_for(3))) == 3
    assert not any("client_disconnected" in root["metadata"] for root in roots(backend.events))


def test_background_task_belongs_to_its_request(start: Start, backend: Backend) -> None:
    """Starlette's task runs after the response: its LLM call still belongs to the request."""
    assert start("chat", "asynchronous.py").ask("/background").body == b'{"ok":true}'
    events = backend.wait_for(2)
    (root,) = roots(events)
    assert [event["span_kind"] for event in below(root, events)] == ["llm"]


@both
def test_concurrent_requests_have_traces_of_their_own(
    flavour: Flavour, start: Start, backend: Backend, cell: Cell
) -> None:
    """Each has its own trace, user and step; they share what is sent; each caller's events are there in time."""
    backend.latency = 0.05
    function = start("chat", flavour.source)
    waiting = [function.later(f"/user?name=user{number}") for number in range(32)]
    answers = [wait() for wait in waiting]
    assert {answer.status for answer in answers} == {200}
    assert len(backend.events) == 64
    assert len({root["trace_id"] for root in roots(backend.events)}) == 32
    for root in roots(backend.events):
        (step,) = below(root, backend.events)
        assert any(
            f'"{step["user_id"]}"'.encode() in a.body and f"-{step['span_id']}-".encode() in a.body for a in answers
        )
    sends = len(backend.requests)
    assert sends < 16
    cell(flavour.host, "concurrent", "Each of 32 requests is in its own trace; they share sends.")


def test_imported_in_the_master_served_in_a_fork(start: Start, backend: Backend) -> None:
    """Gunicorn imports the function before it forks; telemetry works in the process that serves, and only there."""
    function = start("chat", "sync.py", WORKERS="2")
    pids = [function.ask("/pids").body for _ in range(4)]
    assert all(len(set(json.loads(body).values())) == 2 for body in pids)
    assert len(roots(backend.events)) == 4
    function.terminate()
    assert function.wait().code == 0
    assert "Traceback" not in function.log


@pytest.mark.parametrize(
    ("target", "source", "options"),
    [
        ("chat", "sync.py", ["--debug"]),
        ("chat", "asynchronous.py", ["--debug"]),
        ("chat", "asynchronous.py", ["--asgi"]),
        ("in_executor", "asynchronous.py", []),
    ],
)
def test_debug_mode_and_the_asgi_server_work(
    target: str, source: str, options: list[str], start: Start, backend: Backend
) -> None:
    """--debug (Werkzeug, plain uvicorn), --asgi, and a sync function on the async server."""
    function = start(target, source, *options)
    assert function.ask("/", traceparent=TRACEPARENT).status == 200
    (root,) = roots(backend.events)
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
    assert len(root["metadata"]["faas.invocation_id"]) == 12


@both
def test_outside_cloud_run_a_thread_sends_after_the_response(flavour: Flavour, start: Start, backend: Backend) -> None:
    """On your machine, where no K_SERVICE says that this is Cloud Run, a thread sends after the response."""
    backend.latency = 0.3
    function = start("chat", flavour.source, cloud=False)
    assert function.ask("/").status == 200
    assert backend.events == []
    about = backend.wait_for(1)[0]["metadata"]
    assert (about["faas.name"], "cloud.provider" in about) == ("chat", False)


@both
def test_sigterm_lets_the_request_finish_and_sends_the_rest(
    flavour: Flavour, start: Start, backend: Backend, cell: Cell
) -> None:
    """The current request is finished, and what was captured is sent, also what no flush has waited for."""
    backend.latency = 0.05
    function = start("above" if flavour is ASYNC else "chat", flavour.source, ZESPAN_FLUSH_MODE="after_response")
    off = start("chat", flavour.source, ZESPAN_ENABLED="0")
    codes = {}
    for name, one in (("ours", function), ("theirs", off)):
        one.ask("/")
        answer = one.later("/sleep?s=0.4")
        time.sleep(0.15)
        one.terminate()
        assert answer().status == 200
        codes[name] = one.wait().code
    assert len(roots(backend.events)) == 2
    assert codes["ours"] == codes["theirs"]
    seen = f"The current request ends, and everything arrives. Exit {codes['ours']}, as without the package."
    cell(flavour.host, "SIGTERM", seen, stopped="everything is sent")


def test_dead_backend_delays_the_first_requests_only(start: Start, backend: Backend, cell: Cell) -> None:
    """Three requests wait for flush_timeout, then none does; every event is delivered when the backend is back."""
    backend.mode = "hang"
    functions = {flavour: start("chat", flavour.source, ZESPAN_FLUSH_TIMEOUT="0.2") for flavour in (SYNC, ASYNC)}
    for flavour, function in functions.items():
        answers = [function.ask("/") for _ in range(8)]
        assert {answer.status for answer in answers} == {200}
        held = [answer for answer in answers if answer.seconds > 0.15]
        assert len(held) <= 4
        quick = min(answer.seconds for answer in answers) * 1000
        seen = f"Everything arrives once it is back. {len(held)} of 8 responses wait for flush_timeout, "
        seen += f"the others take {later(quick)}."
        cell(flavour.host, "dead backend", seen, outage="kept, then sent; three responses wait")
    backend.mode = "ok"

    def all_are_there() -> bool:
        for function in functions.values():
            function.ask("/")
        return len(roots(backend.events)) >= 18

    until(all_are_there)


@both
def test_no_flush_runs_in_the_last_moments_of_the_timeout(
    flavour: Flavour, start: Start, backend: Backend, cell: Cell
) -> None:
    """No flush goes into the last 0.2 s of CLOUD_RUN_TIMEOUT_SECONDS: the events come with the next request."""
    backend.latency = 0.5
    function = start("chat", flavour.source, CLOUD_RUN_TIMEOUT_SECONDS="2", ZESPAN_FLUSH_INTERVAL="60")
    function.ask("/")
    (first,) = roots(backend.events)
    assert 1900 < first["metadata"]["time_left_at_start_ms"] <= 2000
    answer = function.ask("/sleep?s=1.6")
    assert (answer.status, answer.body) == (200, b"slept")
    assert len(roots(backend.events)) == 1
    backend.latency = 0
    function.ask("/")
    assert len(roots(backend.events)) == 3
    over = (answer.seconds - 1.6) * 1000
    seen = f"The flush ends 0.2 s before it (after {over:.0f} ms); everything arrives with the next request."
    cell(flavour.host, "deadline", seen)


def test_timeout_raised_in_a_thread_is_on_the_event(start: Start, backend: Backend) -> None:
    """The exception that the framework raises in the thread at the timeout passes through, and is on the event."""
    timeouts = {"CLOUD_RUN_TIMEOUT_SECONDS": "1", "THREADED_TIMEOUT_ENABLED": "true"}
    function, off = start("chat", "sync.py", **timeouts), start("chat", "sync.py", ZESPAN_ENABLED="0", **timeouts)
    ours, theirs = function.ask("/sleep?s=1.3"), off.ask("/sleep?s=1.3")
    assert (ours.status, ours.body) == (theirs.status, theirs.body) == (500, ours.body)
    function.ask("/")
    late, quick = roots(backend.wait_for(2))
    assert (late["metadata"]["error.type"], quick["status"]) == ("RequestTimeoutException", "success")


@pytest.mark.parametrize("flavour", [SYNC, ASYNC], ids=["sync", "async"])
def test_pub_sub_push_continues_the_publishers_trace(flavour: Flavour, start: Start, backend: Backend) -> None:
    """Its publisher's trace is continued, the delivery's is linked, and the function finds the body unread."""
    function = start("chat", flavour.source)
    push = {
        "message": {"data": "aGk=", "messageId": "7", "attributes": {"googclient_traceparent": TRACEPARENT}},
        "subscription": "projects/p/subscriptions/s",
    }
    hop = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = function.ask("/body", push, user_agent="CloudPubSub-Google", traceparent=hop)
    assert json.loads(answer.body) == push
    (root,) = roots(backend.events)
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
    about = root["metadata"]
    assert (about["faas.trigger"], about["messaging.system"]) == ("pubsub", "gcp_pubsub")
    assert (about["messaging.message.id"], about["messaging.destination.subscription.name"]) == ("7", "s")
    assert about["links"] == [{"type": "delivery", "trace_id": "a" * 32, "span_id": "b" * 16}]


def test_async_function_may_stream_a_pub_sub_push(start: Start) -> None:
    """An async function may stream the body that we have looked into."""
    push = b'{"message": {"messageId": "7"}, "subscription": "s"}'
    headers = {"user_agent": "CloudPubSub-Google", "content_type": "application/json"}
    assert start("chat", "asynchronous.py").ask("/pieces", push, **headers).body == push


def test_environment_names_are_those_of_cloud_runs_contract() -> None:
    """What makes these functions ones on Cloud Run is what its contract names."""
    assert set(CLOUD_RUN) == {"K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
