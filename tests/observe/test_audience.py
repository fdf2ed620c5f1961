"""Whom an invocation is for: functions of the event that a decorator has, and `with_context`, on every host."""

from __future__ import annotations

import asyncio
import io
import logging
import types
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.conformance import rooms
from zespan_serverless import (
    ConfigurationError,
    asgi,
    capture,
    flush,
    init,
    run,
    span,
    testing,
    with_context,
    wsgi,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_job,
    zespan_lambda,
    zespan_vercel,
)

Reader = Callable[[Any], object]
EVENT = {"user": "ada"}


def _capture() -> None:
    capture({"operation": "inside"})


def _lambda(reader: Reader) -> Any:
    @zespan_lambda(user_id=reader)
    def handler(event: object, context: object) -> None:
        _capture()

    handler(EVENT, testing.LambdaContext())
    return EVENT


def _lambda_async(reader: Reader) -> Any:
    @zespan_lambda(user_id=reader)
    async def handler(event: object, context: object) -> None:
        _capture()

    handler(event=EVENT, context=testing.LambdaContext())
    return EVENT


def _lambda_method(reader: Reader) -> Any:
    class Handlers:
        @zespan_lambda(user_id=reader)
        def handle(self, event: object, context: object) -> Iterator[int]:
            _capture()
            yield 1

    assert list(Handlers().handle(EVENT, testing.LambdaContext())) == [1]
    return EVENT


def _asgi(reader: Reader, make: Any = asgi.ZespanMiddleware) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        _capture()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def none(*_: object) -> Any: ...

    scope = {"type": "http", "method": "GET", "path": "/a", "headers": []}
    asyncio.run(make(app, user_id=reader)(scope, none, none))
    return scope


def _wsgi(reader: Reader, make: Any = wsgi.ZespanMiddleware) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        _capture()
        start_response("200 OK", [])
        return [b"x"]

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}
    list(make(app, user_id=reader)(environ, lambda *_: None))
    return environ


def _vercel(reader: Reader) -> Any:
    @zespan_vercel(user_id=reader)
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _capture()
            self.send_response(200)

        def log_message(self, format: str, *args: Any) -> None: ...

    request = Handler.__new__(Handler)
    request.command, request.path, request.headers = "GET", "/a", Message()
    request.request_version, request.requestline, request.close_connection = "HTTP/1.1", "GET /a HTTP/1.1", True
    request.wfile = io.BytesIO()
    request.do_GET()
    return request


def _google(reader: Reader, decorate: Any = zespan_gcf, made: Callable[[], Any] = rooms.Request) -> Any:
    request = made()
    decorate(user_id=reader)(lambda request: _capture())(request)
    return request


def _google_background(reader: Reader) -> Any:
    data = {"name": "x"}
    context = testing.GoogleContext()
    zespan_cloud_event(user_id=reader)(lambda data, context: _capture())(data, context)
    return data


def _azure(reader: Reader) -> Any:
    @zespan_azure(user_id=reader)
    def function(context: Any, req: Any) -> None:
        _capture()

    request = rooms.Request()
    function(req=request, context=types.SimpleNamespace(function_name="f", invocation_id="i"))
    return request


def _job(reader: Reader, decorate: Any = zespan_job) -> Any:
    decorate(user_id=reader)(lambda argument: _capture())(EVENT)
    return EVENT


HOSTS: dict[str, Callable[[Reader], Any]] = {
    "lambda": _lambda,
    "lambda async": _lambda_async,
    "lambda method": _lambda_method,
    "asgi": _asgi,
    "wsgi": _wsgi,
    "vercel class": _vercel,
    "vercel asgi": lambda reader: _asgi(reader, zespan_vercel),
    "vercel wsgi": lambda reader: _wsgi(reader, zespan_vercel),
    "google": _google,
    "google event": lambda reader: _google(reader, zespan_cloud_event, rooms.CloudEvent),
    "google background": _google_background,
    "azure": _azure,
    "google job": _job,
    "run": lambda reader: _job(reader, lambda **settings: run("x", **settings)),
}


@pytest.mark.parametrize("serve", HOSTS.values(), ids=HOSTS)
def test_a_user_is_read_from_what_the_function_is_called_with(serve: Callable[[Reader], Any]) -> None:
    """Once for each invocation, from the function's own first argument; all events of the invocation have it."""
    got: list[Any] = []

    def reader(event: Any) -> str:
        got.append(event)
        return "ada"

    with testing.recording() as events:
        expected = serve(reader)
        flush()
    (subject,) = got
    assert subject is expected
    assert [(event["operation"] == "inside", event["user_id"]) for event in events] == [(True, "ada"), (False, "ada")]


NAMED = {**rooms.ROOMS, **rooms.VARIANTS}
# Without those that have other events, or whose response, and with it the invocation, is complete before the work.
HANDLED = [name for name in NAMED if name not in ("by hand", "lambda records", "lambda steps", "wsgi streamed")]


@pytest.mark.parametrize("name", HANDLED)
def test_with_context_inside_reaches_the_event_of_the_invocation(name: str) -> None:
    """On every host: what nested blocks say that nothing outer has said; the outermost user stays."""

    def work() -> bytes:
        outer = with_context(user_id="ada", tags={"a": "1"})
        with outer, with_context(user_id="x", session_id="s", tags={"b": "2"}), with_context(conversation_id="c"):
            capture({"operation": "inside"})
        return b"y"

    with testing.recording() as events:
        NAMED[name].start(work)()
        flush()
    inside, root = events
    assert (inside["user_id"], inside["session_id"], inside["tags"]) == ("x", "s", {"a": "1", "b": "2"})
    assert (root["user_id"], root["session_id"], root["tags"]) == ("ada", "s", {"a": "1", "b": "2"})
    assert [event["metadata"]["gen_ai.conversation.id"] for event in events] == ["c", "c"]


def test_each_decorated_function_has_its_own() -> None:
    """Two functions in one process, without a warning that their settings differ."""

    @zespan_lambda(user_id=lambda event: event["a"], session_id=lambda event: 7)
    def one(event: dict[str, str], context: object) -> None: ...

    @zespan_lambda(user_id=lambda event: event["b"])
    def other(event: dict[str, str], context: object) -> None: ...

    @zespan_lambda
    def neither(event: object, context: object) -> None: ...

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("zespan_serverless").addHandler(handler)
    init(exporter="memory")
    with testing.recording() as events:
        for function in (one, other, neither, one):
            function({"a": "1", "b": "2"}, testing.LambdaContext())
    logging.getLogger("zespan_serverless").removeHandler(handler)
    assert [(e["user_id"], e["session_id"]) for e in events] == [("1", "7"), ("2", None), (None, None), ("1", "7")]
    assert said == []


class Hostile:
    def __str__(self) -> str:
        raise ValueError("no text")


async def later() -> str:
    return "ada"


@pytest.mark.parametrize(
    ("reader", "user", "warned"),
    [
        (lambda event: event["nobody"], None, "user_id could not be read and is left out: KeyError"),
        (lambda event: None, None, ""),
        (lambda event: Hostile(), None, ""),
        (lambda event: later(), None, "user_id returns an awaitable"),
        (lambda event: 17, "17", ""),
        (lambda event: "x" * 5000, "x" * 1024, ""),
    ],
)
def test_a_reader_never_harms(reader: Reader, user: str | None, warned: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises or returns, the function is called, and the failure is logged once."""

    @zespan_lambda(user_id=reader, session_id=lambda event: "s")
    def handler(event: object, context: object) -> int:
        return 1

    with testing.recording() as events:
        assert [handler(EVENT, testing.LambdaContext()) for _ in range(2)] == [1, 1]
    assert [(event["user_id"], event["session_id"]) for event in events] == [(user, "s")] * 2
    assert caplog.text.count(warned or "WARNING") == bool(warned)


def test_a_reader_prevails_over_the_context_around() -> None:
    """The reader's user is that of the invocation; a block inside does not change it."""

    @with_context(user_id="around", session_id="around")
    @zespan_lambda(user_id=lambda event: "read", session_id=lambda event: None)
    def handler(event: object, context: object) -> None:
        with with_context(user_id="inside"), span("step"):
            pass

    with testing.recording() as events:
        handler(EVENT, testing.LambdaContext())
    assert [(e["user_id"], e["session_id"]) for e in events] == [("inside", "around"), ("read", "around")]


def test_readers_are_not_called_while_telemetry_is_off_or_inside_another_invocation() -> None:
    """A reader runs for an invocation only."""
    asked: list[object] = []
    inner = zespan_lambda(user_id=asked.append)(lambda event, context: 1)
    outer = zespan_lambda(lambda event, context: inner(event, context))
    with testing.recording() as events:
        assert outer(EVENT, testing.LambdaContext()) == 1
    testing.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZESPAN_ENABLED", "0")
        assert inner(EVENT, testing.LambdaContext()) == 1
    assert (len(events), asked) == (1, [])


@pytest.mark.parametrize("wrong", ["ada", 3, str, later])
def test_what_is_no_reader_is_refused(wrong: Any) -> None:
    """The error says what to write."""
    with pytest.raises(ConfigurationError, match=r"user_id must be a def or lambda of the event, such as lambda event"):
        zespan_lambda(user_id=wrong)


def test_only_decorators_have_readers(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """`init` and `recording` refuse them, and a variable of that name is said to have no effect."""
    with pytest.raises(ConfigurationError, match=r"init takes no user_id.*with_context\(user_id="):
        init(user_id=lambda event: "x")
    with pytest.raises(ConfigurationError, match="recording takes no session_id"), testing.recording(session_id=str):
        pass
    monkeypatch.setenv("ZESPAN_USER_ID", "ada")
    init(exporter="memory")
    assert "ZESPAN_USER_ID is ignored: user_id can be set in code only" in caplog.text
