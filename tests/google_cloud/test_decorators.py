"""What the decorators do to a function: nothing that anybody could notice."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any
from unittest import mock
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tests.google_cloud.support import CLOUD_RUN
from tests.support import SPAN, TRACE, until
from zespan_serverless import ConfigurationError, asgi, span, testing, wsgi, zespan_cloud_event, zespan_gcf
from zespan_serverless._platforms import google

DECORATORS = [zespan_gcf, zespan_cloud_event]
either = pytest.mark.parametrize("decorator", DECORATORS)


@either
def test_a_function_stays_what_it_is(decorator: Callable[..., Any]) -> None:
    """The framework wants a function, goes by its name and signature, and asks whether it is async."""

    def hello(request: flask.Request, more: int = 1) -> str:
        """Says hello."""
        return "hello"

    async def hello_async(request: Request) -> str:
        return "hello"

    for bare in (hello, hello_async):
        for ours in (decorator(bare), decorator(flush_timeout=0.5)(bare)):
            assert type(ours) is FunctionType
            assert (ours.__name__, ours.__doc__, ours.__module__) == (bare.__name__, bare.__doc__, bare.__module__)
            assert inspect.signature(ours) == inspect.signature(bare)
            assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(bare)
    once = decorator(hello)
    assert decorator(once) is once


@either
def test_mistakes_are_found_while_decorating(decorator: Callable[..., Any]) -> None:
    """An unknown setting, a wrong type, and what is no function."""
    for wrong in ({"flush_time": 1}, {"flush_timeout": "1"}):
        with pytest.raises(ConfigurationError):
            decorator(**wrong)
    with pytest.raises(ConfigurationError):
        decorator("settings")


def test_importing_starts_nothing() -> None:
    """Decorating starts no thread, sets no signal handler and imports no framework."""
    code = """
import signal, sys, threading
before = set(sys.modules)
from zespan_serverless import zespan_cloud_event, zespan_gcf, zespan_job
for decorator in (zespan_gcf, zespan_cloud_event, zespan_job):
    decorator(lambda request: None)
assert threading.active_count() == 1
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert not {"flask", "starlette", "functions_framework", "cloudevents", "http.client", "ssl"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Stop(BaseException):
    """What no `except Exception` catches."""


@either
@pytest.mark.parametrize("error", [ValueError("boom"), Stop("now"), SystemExit(3), KeyboardInterrupt()])
def test_what_is_raised_is_raised_untouched(decorator: Callable[..., Any], error: BaseException) -> None:
    """Exceptions of every kind, from sync and async functions, the very object, after one call."""
    calls = []

    @decorator
    def fails(request: object) -> None:
        calls.append(request)
        raise error

    @decorator
    async def fails_async(request: object) -> None:
        calls.append(request)
        raise error

    async def catches() -> BaseException | None:  # an event loop has its own ways with these
        try:
            await fails_async("b")
        except BaseException as caught:
            return caught
        return None

    with testing.recording() as events:
        with pytest.raises(type(error)) as caught:
            fails("a")
        assert caught.value is error
        assert asyncio.run(catches()) is error
        flush_all()
        assert calls == ["a", "b"]
        assert [event["status"] for event in events] == ["error", "error"]


def flush_all() -> None:
    """A cancelled task does not wait for its flush."""
    from zespan_serverless import flush

    flush(2)


def test_results_are_passed_on_untouched() -> None:
    """The very object, whatever it is."""
    response = flask.Response("x")
    for result in (
        "hello",
        b"hello",
        {"a": 1},
        [1],
        ("hello", 201),
        response,
        None,
        object(),
        7,
        PlainTextResponse("x"),
    ):

        @zespan_gcf
        def hello(request: object, result: object = result) -> object:
            return result

        with testing.recording() as events:
            assert hello("request") is result
            assert len(events) == 1


def test_results_that_only_look_like_responses() -> None:
    """What a typed function gives back may have any attribute: none is taken for a response's, none is replaced."""

    class Theme:
        background, body_iterator, is_streamed, direct_passthrough, response, status_code = (
            "red",
            "x",
            True,
            False,
            1,
            503,
        )

    theme = Theme()

    @zespan_cloud_event
    def paint(order: object) -> Theme:
        return theme

    with testing.recording() as events:
        assert paint("x") is theme
    assert vars(theme) == {}
    assert events[0]["status"] == "success"


def test_a_generator_that_is_not_read_to_its_end() -> None:
    """Read half, it is closed as it would be, and its event says so; one that has not begun has no event."""
    closed = []

    @zespan_gcf
    def numbers(request: object) -> Iterable[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    with testing.recording() as events:
        numbers("a")
        assert next(iter(numbers("b"))) == 1
        half = iter(numbers("c"))
        assert next(half) == 1
        half.close()  # type: ignore[attr-defined]
        assert closed == [True, True]
        flush_all()
        assert [event["metadata"].get("client_disconnected") for event in events] == [True, True]


def test_mocked_requests_of_unit_tests_work() -> None:
    """The way functions are tested: a Mock for a request, a Flask context with a real one."""
    from unittest.mock import Mock

    @zespan_gcf
    def hello(request: Any) -> str:
        return f"hello {request.args.get('name')}"

    with testing.recording() as events, flask.Flask("x").test_request_context("/a?name=ada"):
        assert hello(flask.request) == "hello ada"
        assert hello(Mock(args={"name": "bob"})) == "hello bob"
    assert [event["status"] for event in events] == ["success", "success"]


def test_a_decorated_function_called_by_another() -> None:
    """One invocation, one event."""

    @zespan_gcf
    def inner(request: object) -> str:
        return "inner"

    @zespan_gcf
    def outer(request: object) -> str:
        return inner(request)

    with testing.recording() as events:
        assert outer("x") == "inner"
    assert len(events) == 1


def test_a_function_may_be_an_object_or_a_method() -> None:
    """What is async about it stays async: its steps are in the trace, and its event ends with it."""

    class Greeter:
        async def __call__(self, request: object) -> str:
            with span("step"):
                await asyncio.sleep(0)
            return "object"

        @zespan_gcf
        async def greet(self, request: object) -> str:
            return await self(request)

    request = Request({"type": "http", "method": "GET", "path": "/a", "headers": [], "query_string": b""})
    for function in (zespan_gcf(Greeter()), Greeter().greet):
        assert inspect.iscoroutinefunction(function)
        with testing.recording() as events:
            assert asyncio.run(function(request)) == "object"
        step, root = events
        assert (step["operation"], step["parent_span_id"]) == ("step", root["span_id"])
        assert root["metadata"]["url.path"] == "/a"


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000])
def test_a_request_that_only_looks_like_a_push_is_one_like_any_other(body: bytes) -> None:
    """Anybody may say that he is Pub/Sub: the function gets the body, and the request has its event."""

    @zespan_gcf
    def echo(request: flask.Request) -> bytes:
        return request.get_data()

    headers = {"user-agent": "APIs-Google", "content-type": "application/json"}
    request = flask.Flask("x").test_request_context(method="POST", data=body, headers=headers)
    with testing.recording() as events, request:
        assert echo(flask.request._get_current_object()) == body  # type: ignore[attr-defined]
    assert [event["status"] for event in events] == ["success"]


def test_switched_off_the_function_is_only_called() -> None:
    """Switched off, the function is only called."""

    @zespan_gcf(enabled=False)
    def hello(request: object) -> str:
        return "hello"

    threads = threading.active_count()
    assert hello("x") == "hello"
    assert threading.active_count() == threads


HEADERS = {
    "X-Cloud-Trace-Context": f"{TRACE}/{int(SPAN, 16)};o=1",
    "X-CloudScheduler": "true",
    "X-CloudScheduler-JobName": "nightly",
}


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A test's output is the test's."""


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-length", "2")])
    return [b"ok"]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def ask(port: int) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", headers=HEADERS)) as response:
        assert response.read() == b"ok"


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_middlewares_on_cloud_run_continue_googles_trace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Web applications on Cloud Run continue Google's trace, and know Google's callers, too."""
    for name, value in CLOUD_RUN.items():
        monkeypatch.setenv(name, value)
    with testing.recording() as events:
        if kind == "wsgi":
            server = make_server("127.0.0.1", 0, wsgi.ZespanMiddleware(wsgi_app), handler_class=Quiet)
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            ask(server.server_port)
            thread.join()
            server.server_close()
        else:
            served = uvicorn.Server(
                uvicorn.Config(asgi.ZespanMiddleware(asgi_app), port=0, lifespan="off", log_level=50)
            )

            def client() -> None:
                until(lambda: served.started)
                ask(served.servers[0].sockets[0].getsockname()[1])
                served.should_exit = True

            async def serve() -> None:
                await asyncio.gather(served.serve(), asyncio.to_thread(client))

            asyncio.run(serve())
    (root,) = events
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
    about = json.loads(json.dumps(root["metadata"]))
    assert (about["faas.trigger"], about["gcp.cloud_scheduler.job"]) == ("timer", "nightly")
    assert (about["faas.name"], about["faas.version"]) == ("chat", "chat-00007-abc")
    assert (about["cloud.platform"], about["gcp.cloud_run.configuration"]) == ("gcp_cloud_run", "chat")


@either
def test_a_timeout_of_the_framework_is_not_taken_for_a_failure(
    decorator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """THREADED_TIMEOUT_ENABLED makes the framework raise it in a request's thread. If that is just reading the request
    for us, the timeout takes effect all the same."""
    from functions_framework.exceptions import RequestTimeoutException

    function = decorator(lambda request: "answer")
    with testing.recording():
        monkeypatch.setattr(google, "parents", mock.Mock(side_effect=RequestTimeoutException))
        with pytest.raises(RequestTimeoutException):
            function(flask.Request.from_values("/"))
        monkeypatch.setattr(google, "parents", mock.Mock(side_effect=LookupError))
        assert function(flask.Request.from_values("/")) == "answer"
