"""Functions of both programming models under Microsoft's worker library: they are not harmed, and all is sent."""

from __future__ import annotations

import json
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.azure_functions.support import APPS, Answer, StartWorker, Worker
from tests.hosts import Cell, Situation, after, later
from tests.support import SPAN, TRACE, calls, roots, until
from zespan_serverless import testing

pytestmark = pytest.mark.host


AZURE = {
    "WEBSITE_SITE_NAME": "myapp",
    "WEBSITE_OWNER_NAME": "0f3a+rg-westeuropewebspace-Linux",
    "WEBSITE_RESOURCE_GROUP": "rg",
    "WEBSITE_INSTANCE_ID": "instance-1",
    "WEBSITE_MEMORY_LIMIT_MB": "2048",
    "REGION_NAME": "West Europe",
}


SITE = "/subscriptions/0f3a/resourceGroups/rg/providers/Microsoft.Web/sites/myapp"


def added(worker: Worker, traced: str, plain: str) -> float:
    """Median ms that tracing adds to what the library takes for a function."""
    pairs = [(worker.http(traced).ms, worker.http(plain).ms) for _ in range(40)]
    return statistics.median(one for one, _ in pairs) - statistics.median(other for _, other in pairs)


@pytest.mark.parametrize(("kind", "traced", "plain"), [("sync", "hello", "plain"), ("async", "ahello", "aplain")])
def test_events_arrive_and_the_answer_is_the_function_s(
    worker: StartWorker, backend: testing.Backend, cell: Cell, kind: Situation, traced: str, plain: str
) -> None:
    """The response is what the function made; its event arrives without anything more being asked of the worker."""
    app = worker("main")
    answer = app.http(traced, params={"name": "ada"})
    assert (answer.ok, answer.body) == (True, "Hello None")
    (event,) = backend.wait_for(1)
    assert (event["operation"], event["status"], event["metadata"]["faas.coldstart"]) == (traced, "success", True)
    more = added(app, traced, plain)
    cell("Azure Functions", kind, after(more), sent="after the response", later=later(more))


def test_root_event_says_where_it_was(worker: StartWorker, backend: testing.Backend) -> None:
    """OpenTelemetry's attributes of app, function, instance and region, the host's trace, and the retry."""
    app = worker("main", **AZURE)
    app.http("hello", "hello/ada?code=secret", invocation_id="id-1", retry=(1, 3))
    (event,) = backend.wait_for(1)
    assert (event["trace_id"], event["parent_span_id"]) == (TRACE, SPAN)
    expected = {
        "faas.name": "myapp/hello",
        "faas.invocation_id": "id-1",
        "faas.trigger": "http",
        "faas.instance": "instance-1",
        "faas.max_memory": 2_147_483_648,
        "cloud.provider": "azure",
        "cloud.platform": "azure.functions",
        "cloud.region": "West Europe",
        "cloud.account.id": "0f3a",
        "cloud.resource_id": f"{SITE}/functions/hello",
        "http.route": "/v1/hello/{name?}",
        "http.response.status_code": 201,
        "azure.functions.retry_count": 1,
        "azure.functions.max_retry_count": 3,
    }
    assert {key: event["metadata"].get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("function", "status"), [("text", None), ("twice", None), ("plain", 200), ("made1", None), ("made2", None)]
)
def test_every_shape_is_called_once(
    worker: StartWorker, backend: testing.Backend, function: str, status: int | None
) -> None:
    """Decorated twice, in a blueprint, made by a factory, or not decorated at all: one call, one event at most."""
    app = worker("main")
    assert app.http(function).ok
    app.http("hello")
    until(lambda: "hello" in [event["operation"] for event in backend.events])
    assert [event["operation"] for event in backend.events].count(function) == (function != "plain")


@pytest.mark.parametrize("function", ["renamed", "aabove", "blueprint", "between"])
def test_above_or_below_azure_s_decorators_and_others(
    worker: StartWorker, backend: testing.Backend, function: str
) -> None:
    """The function is in the host's trace wherever the decorator stands, and its route is known."""
    app = worker("main")
    assert app.http(function).body.lower().startswith(f"00-{TRACE}-")
    (event,) = backend.wait_for(1)
    assert (event["operation"], event["parent_span_id"]) == (function, SPAN)
    assert event["metadata"]["http.route"].startswith("/v1/")


@pytest.mark.parametrize("function", ["declared", "adeclared"])
def test_a_declared_context_is_the_worker_s(worker: StartWorker, function: str) -> None:
    """A function that asks for `context` gets it, and the directory in it is the function's own."""
    answer = worker("main").http(function, invocation_id="id-2")
    assert json.loads(answer.body) == ["id-2", str(APPS / "main"), f"00-{TRACE}-{SPAN}-01"]


@pytest.mark.parametrize("function", ["boom", "aboom"])
def test_an_exception_passes_through(worker: StartWorker, backend: testing.Backend, cell: Cell, function: str) -> None:
    """The host is told the function's own exception, and so is the backend."""
    answer = worker("main").http(function)
    assert (answer.ok, answer.exception) == (False, "ValueError: no such thing")
    assert 'raise ValueError("no such thing")' in (answer.stack or "")
    (event,) = backend.wait_for(1)
    assert (event["status"], event["error_message"]) == ("error", "no such thing")
    assert event["metadata"]["error.type"] == "ValueError"
    cell("Azure Functions", "exception", "It is the function's own, and its event arrives with type and text.")


def test_an_answer_of_500_and_more_is_an_error(worker: StartWorker, backend: testing.Backend) -> None:
    """What the function answers is left as it is; that it failed is on its event."""
    assert worker("main").http("fails").status == 503
    (event,) = backend.wait_for(1)
    assert (event["status"], event["error_message"]) == ("error", "HTTP 503")


def test_outputs_are_the_function_s(worker: StartWorker, backend: testing.Backend) -> None:
    """An output binding of a queue function is set as ever."""
    answer = worker("main").invoke("on_queue", {"msg": {"string": "hi"}}, {"Id": {"string": "m"}})
    assert (answer.ok, answer.outputs) == (True, {"answers": "HI"})
    (event,) = backend.wait_for(1)
    assert event["metadata"]["messaging.destination.name"] == "prompts"


@pytest.mark.parametrize("function", ["who", "awho"])
def test_concurrent_invocations_do_not_mix(
    worker: StartWorker, backend: testing.Backend, cell: Cell, function: str
) -> None:
    """Thirty at once, in pooled threads or tasks: each is in its own trace, and so is its step."""
    app = worker("main")

    def ask(number: int) -> Answer:
        traceparent = f"00-{number:032x}-{SPAN}-01"
        return app.http(function, params={}, path=f"{function}?name=step{number}", traceparent=traceparent)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(1, 31)))
    for number, answer in enumerate(answers, 1):
        before, after, *_ = json.loads(answer.body)
        assert before == after
        assert before.split("-")[1] == f"{number:032x}"
    events = backend.wait_for(60)
    assert len(roots(events)) == 30
    steps = {event["operation"]: event["trace_id"] for event in events if event["operation"].startswith("step")}
    assert steps == {f"step{number}": f"{number:032x}" for number in range(1, 31)}
    cell("Azure Functions", "concurrent", "Each of 30, in threads and tasks, is in its own trace.")


def test_a_pooled_thread_has_no_trace(worker: StartWorker, backend: testing.Backend) -> None:
    """What one invocation leaves open in its thread is not seen by the next; the user's own variables stay theirs."""
    app = worker("main", PYTHON_THREADPOOL_THREAD_COUNT="1")
    assert app.http("leaves").body == "kept"
    assert app.http("untraced").body == "no trace"
    assert app.http("own", traceparent=f"00-{'a' * 32}-{SPAN}-01").body == "kept"
    until(lambda: len(roots(backend.events)) == 2)
    assert {event["operation"]: event["trace_id"] for event in roots(backend.events)} == {
        "leaves": TRACE,
        "own": "a" * 32,
    }


def test_a_thread_that_was_left_in_another_trace(worker: StartWorker, backend: testing.Backend) -> None:
    """A span that code outside any invocation left open does not make an invocation part of another one's trace."""
    app = worker("main", PYTHON_THREADPOOL_THREAD_COUNT="1")
    app.http("hello")
    assert app.http("leaves_untraced").ok
    other = threading.Thread(target=app.http, args=("alinger",))
    other.start()
    until(lambda: app.http("lingering").body == "yes")
    assert app.http("who", path="who?name=step", traceparent=f"00-{'b' * 32}-{SPAN}-01").ok
    other.join()
    until(lambda: "who" in [event["operation"] for event in roots(backend.events)])
    (who,) = [event for event in roots(backend.events) if event["operation"] == "who"]
    assert who["trace_id"] == "b" * 32


@pytest.mark.parametrize("function", ["ask", "aask"])
def test_a_model_call_is_in_the_trace(
    worker: StartWorker, backend: testing.Backend, model: ModelEndpoint, function: str
) -> None:
    """The OpenAI call that a function makes is below the function's event."""
    app = worker("main", OPENAI_BASE_URL=model.url, OPENAI_API_KEY="sk-local")
    answer = app.http(function, method="POST", body=b"hi")
    assert (answer.ok, answer.body) == (True, "Hello, serverless world!")
    events = backend.wait_for(2)
    (llm,), (root,) = calls(events), roots(events)
    assert (llm["trace_id"], llm["parent_span_id"]) == (TRACE, root["span_id"])


def test_functions_of_the_v1_model_are_traced(worker: StartWorker, backend: testing.Backend) -> None:
    """function.json says what triggers a function; sync and async, with and without `context`."""
    app = worker("v1", "v1", WEBSITE_SITE_NAME="myapp")
    assert app.http("chat", "chat/ada").body.startswith(f"00-{TRACE}-")
    queued = app.invoke("onqueue", {"msg": {"string": "x"}}, {"Id": {"string": "m-1"}}, invocation_id="id-3")
    assert (queued.ok, queued.outputs) == (True, {"answers": "id-3"})
    chat, work = sorted(backend.wait_for(2), key=lambda event: str(event["operation"]))
    assert (chat["operation"], chat["metadata"]["http.route"]) == ("chat", "/api/chat/{name}")
    assert (work["operation"], work["metadata"]["messaging.destination.name"]) == ("onqueue", "prompts")
    assert work["metadata"]["faas.name"] == "myapp/onqueue"


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_application_in_a_function_continues_the_hosts_trace(
    worker: StartWorker, backend: testing.Backend, app: str
) -> None:
    """AsgiFunctionApp and WsgiFunctionApp with the middleware inside: the host's trace, not the header's."""
    headers = {"host": "myapp.azurewebsites.net", "traceparent": f"00-{'c' * 32}-{SPAN}-01"}
    running = worker(app, **AZURE)
    answer = running.http("http_app_func", "items/3", headers=headers, invocation_id="id-4")
    assert json.loads(answer.body)["trace"].startswith(f"00-{TRACE}-")
    (event,) = backend.wait_for(1)
    metadata = event["metadata"]
    assert (event["trace_id"], event["parent_span_id"], metadata["faas.invocation_id"]) == (TRACE, SPAN, "id-4")
    assert (metadata["faas.name"], metadata["cloud.provider"]) == ("myapp/http_app_func", "azure")
    assert metadata["http.response.status_code"] == 200


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_an_application_sends_what_is_left_when_it_is_ended(
    worker: StartWorker, backend: testing.Backend, app: str
) -> None:
    """SIGTERM right after an answer from a pooled thread, or from the event loop: the event arrives."""
    running = worker(app)
    running.http("http_app_func", "items/3")
    running.terminate()
    assert len(backend.events) == 1


def test_switched_off_is_as_if_it_were_not_there(worker: StartWorker, backend: testing.Backend) -> None:
    """ZESPAN_ENABLED=0: the functions answer, nothing is sent, and SIGTERM ends the worker as it would without us."""
    app = worker("main", ZESPAN_ENABLED="0")
    assert app.http("declared").ok
    assert app.http("ahello").ok
    assert (app.terminate(), backend.requests) == (-15, [])
