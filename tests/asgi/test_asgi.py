"""The ASGI middleware by itself: what passes through it, when a request ends, and in whose trace things are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from zespan_serverless import ConfigurationError, flush, span, testing, traceparent
from zespan_serverless.asgi import ZespanMiddleware
from zespan_serverless.exporters import Dropped
from zespan_serverless.testing import Backend

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]


def scope(path: str = "/x", **more: Any) -> Message:
    return {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"example.com")], **more}


async def serve(app: App, scope: Message, *received: Message) -> list[Message]:
    """Have an application serve; gives the very messages that it has sent."""
    sent: list[Message] = []
    left = list(received)

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"x"}
MORE: Message = {"type": "http.response.body", "body": b"x", "more_body": True}

RESPONSES: dict[str, list[Message]] = {
    "plain": [START, BODY],
    "stream": [START, MORE, MORE, {"type": "http.response.body"}],
    "trailers": [
        {**START, "trailers": True},
        MORE,
        BODY,
        {"type": "http.response.trailers", "headers": [], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
    ],
    "pathsend": [START, {"type": "http.response.pathsend", "path": "/etc/hostname"}],
    "zerocopysend": [START, {"type": "http.response.zerocopysend", "file": 3, "more_body": True}, BODY],
    "early hints": [{"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]}, START, BODY],
    "push": [{"type": "http.response.push", "path": "/a", "headers": []}, START, BODY],
    "debug": [{"type": "http.response.debug", "info": {}}, START, BODY],
    "unknown": [{"type": "http.response.of.the.future"}, START, BODY, {"type": "http.more"}],
}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", RESPONSES)
def test_messages_pass_untouched(kind: str, held: bool) -> None:
    """The server gets the application's own objects, in their order; the one that ends the response ends the event."""
    over_at: list[int] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        for message in RESPONSES[kind]:
            await send(message)
            over_at.append(len(events))

    with testing.recording(flush_mode="before_return" if held else "auto", root_event=True) as events:
        sent = asyncio.run(serve(ZespanMiddleware(app), scope()))
        flush()
    assert [id(message) for message in sent] == [id(message) for message in RESPONSES[kind]]
    assert len(events) == 1
    if held:
        last = next(i for i, m in reversed(list(enumerate(RESPONSES[kind]))) if m["type"] != "http.more")
        assert over_at[:last] == [0] * last
        assert over_at[last] == 1


def test_what_the_server_gives_passes_untouched() -> None:
    """Scope and received messages are the server's own objects."""
    given = scope()
    message = {"type": "http.request", "body": b"x", "more_body": True}
    seen: list[object] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        seen.extend([scope, await receive()])
        await send(START)
        await send(BODY)

    with testing.recording():
        asyncio.run(serve(ZespanMiddleware(app), given, message))
    assert seen[0] is given
    assert seen[1] is message


def test_backpressure_is_kept() -> None:
    """The application's send returns when the server's does, and not before."""
    order: list[str] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(3):
            order.append(f"makes {number}")
            await send({**MORE, "body": str(number).encode()})
        await send(BODY)

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        if message.get("more_body"):
            order.append(f"took {message['body'].decode()}")

    with testing.recording():
        asyncio.run(ZespanMiddleware(app)(scope(), _nothing, send))  # type: ignore[arg-type]
    assert order == [f"{what} {number}" for number in range(3) for what in ("makes", "took")]


async def _nothing() -> Message:
    return {"type": "http.request"}


def test_an_exception_is_the_applications_own() -> None:
    """The same object comes out, with no attribute set on it, and the event is an error."""
    error = LookupError("mine")

    async def app(scope: Message, receive: Any, send: Any) -> None:
        raise error

    with testing.recording() as events, pytest.raises(LookupError) as caught:
        asyncio.run(serve(ZespanMiddleware(app), scope()))
    assert caught.value is error
    assert error.__cause__ is error.__context__ is None
    assert (events[0]["status"], events[0]["error_message"]) == ("error", "mine")


def test_an_answered_exception_is_named() -> None:
    """A framework that makes a 500 of an exception does not hide which one it was."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        try:
            raise LookupError("mine")
        except LookupError:
            await send({**START, "status": 500})
            await send(BODY)

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(app), scope()))
    assert (events[0]["status"], events[0]["metadata"]["error.type"]) == ("error", "LookupError")
    assert events[0]["metadata"]["http.response.status_code"] == 500


@pytest.mark.parametrize("mode", ["auto", "before_return"])
def test_a_cancelled_request_is_reported_and_stays_cancelled(mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task ends as cancelled at once, whatever the backend does; its event says so, and is delivered."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(MORE)
        await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(serve(ZespanMiddleware(app, flush_mode=mode), scope()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = "hang"
        asyncio.run(asyncio.wait_for(cancelled(), 0.5))
        backend.mode = "ok"
        (event,) = backend.wait_for(1)
    assert (event["status"], event["metadata"]["error.type"]) == ("error", "CancelledError")


def test_a_request_cancelled_while_it_is_held_is_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the flush is a place like any other to be cancelled at."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    async def cancelled() -> None:
        middleware = ZespanMiddleware(app, flush_mode="before_return", flush_timeout=30)
        task = asyncio.create_task(serve(middleware, scope()))
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = "hang"
        asyncio.run(asyncio.wait_for(cancelled(), 5))
        backend.mode = "ok"
        assert len(backend.wait_for(1)) == 1


def test_a_client_that_leaves_is_noted() -> None:
    """An application that hears of it and gives up has not failed, but the event says why there is no more."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(MORE)
        assert (await receive())["type"] == "http.disconnect"

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(app), scope(), {"type": "http.disconnect"}))
    assert (events[0]["status"], events[0]["metadata"]["client_disconnected"]) == ("success", True)


def test_a_client_that_leaves_after_the_response_has_not_left() -> None:
    """Servers say `http.disconnect` also to those who listen when all is over."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        await receive()

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(app), scope(), {"type": "http.disconnect"}))
    assert "client_disconnected" not in events[0]["metadata"]


def test_background_work_is_in_the_trace() -> None:
    """What comes after the response has the request's trace, and does not lengthen its event."""

    times: list[float] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        times.append(time.perf_counter())
        await asyncio.sleep(0.05)
        with span("after"):
            pass

    with testing.recording() as events:
        times.append(time.perf_counter())
        asyncio.run(serve(ZespanMiddleware(app), scope()))
        flush()
    root, after = events
    assert after["parent_span_id"] == root["span_id"]
    assert root["metadata"]["handler_duration_ms"] < (times[1] - times[0]) * 1000 + 25


def test_background_work_that_fails_is_sent_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has captured does not wait for the next request, and its exception is the server's to log."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        await asyncio.sleep(0.5)  # until the request's own events are on their way
        with span("after"):
            raise LookupError("mine")

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        with pytest.raises(LookupError):
            asyncio.run(serve(ZespanMiddleware(app), scope()))
        root, after = backend.wait_for(2, timeout=2)  # flush_interval is 5 s
    assert (root["status"], after["status"], after["parent_span_id"]) == ("success", "error", root["span_id"])


def test_twice_is_once() -> None:
    """The middleware twice, or below another middleware of the package, makes one root event."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(ZespanMiddleware(app)), scope()))
    assert len(events) == 1


def test_a_request_begun_in_the_context_of_another_is_its_own() -> None:
    """A server may start the next request of a connection in the context of the one before: that is over."""
    tasks: list[asyncio.Task[Any]] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        if scope["path"] == "/first":
            tasks.append(asyncio.create_task(serve(middleware, {**globals()["scope"]("/second")})))

    middleware = ZespanMiddleware(app)

    async def both() -> None:
        other = asyncio.create_task(serve(ZespanMiddleware(_waits), scope("/other")))  # so that one is under way
        await asyncio.sleep(0)
        await serve(middleware, scope("/first"))
        await tasks[0]
        other.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await other

    with testing.recording() as events:
        asyncio.run(both())
        flush()
    assert {e["operation"] for e in events} == {"GET /first", "GET /second", "GET /other"}
    assert len({e["trace_id"] for e in events}) == 3


async def _waits(scope: Message, receive: Any, send: Any) -> None:
    await asyncio.sleep(60)


def test_requests_at_once_do_not_mix() -> None:
    """64 tasks on one loop: each step is in its own request's trace."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        with span(scope["path"]):
            await asyncio.sleep(0.01)
        await send(START)
        await send({**BODY, "body": str(traceparent()).encode()})

    async def many() -> list[list[Message]]:
        return await asyncio.gather(*(serve(ZespanMiddleware(app), scope(f"/{n}")) for n in range(64)))

    with testing.recording() as events:
        sent = asyncio.run(many())
    roots = {e["operation"].removeprefix("GET "): e for e in events if e["parent_span_id"] is None}
    steps = {e["operation"]: e for e in events if e["parent_span_id"] is not None}
    assert len(roots) == len(steps) == 64
    for number, messages in enumerate(sent):
        root, step = roots[f"/{number}"], steps[f"/{number}"]
        assert step["parent_span_id"] == root["span_id"]
        assert messages[1]["body"].decode() == f"00-{root['trace_id']}-{root['span_id']}-03"


@pytest.mark.parametrize("held", [False, True])
def test_the_event_loop_is_never_blocked(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the backend hangs, other tasks of the loop run as usual: the package does not block it."""
    gaps: list[float] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    async def beat(until: asyncio.Event) -> None:
        last = time.monotonic()
        while not until.is_set():
            await asyncio.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def run() -> None:
        middleware = ZespanMiddleware(app, flush_mode="before_return" if held else "auto", flush_timeout=0.3)
        stop = asyncio.Event()
        beating = asyncio.create_task(beat(stop))
        for _ in range(2):
            await asyncio.gather(*(serve(middleware, scope()) for _ in range(8)))
        stop.set()
        await beating

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = "hang"
        asyncio.run(run())
        if held:
            assert len(gaps) > 30  # a blocked loop would have had one or two turns


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "of.the.future"])
def test_other_protocols_pass(kind: str) -> None:
    """They are the application's business: the same scope, the same messages, no event."""
    given: Message = {"type": kind}
    message = {"type": f"{kind}.something"}
    seen: list[object] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send(message)

    with testing.recording() as events:
        (sent,) = asyncio.run(serve(ZespanMiddleware(app), given))
    assert seen == [given]
    assert seen[0] is given
    assert sent is message
    assert events == []


def test_an_application_without_lifespan_says_so_itself() -> None:
    """Its exception is what tells a server; it passes."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        raise NotImplementedError(scope["type"])

    with testing.recording(), pytest.raises(NotImplementedError, match="lifespan"):
        asyncio.run(serve(ZespanMiddleware(app), {"type": "lifespan"}))


def test_what_is_left_is_sent_when_the_lifespan_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application does at its shutdown is delivered before the server hears that it is done."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(START)
            await send(BODY)
            return
        await send({"type": "lifespan.startup.complete"})
        with span("goodbye"):
            pass
        await send({"type": "lifespan.shutdown.complete"})

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        middleware = ZespanMiddleware(app)
        arrived: list[list[str]] = []

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                arrived.append(sorted(e["operation"] for e in backend.events))

        async def run() -> None:
            await serve(middleware, scope())
            await middleware({"type": "lifespan"}, _nothing, send)  # type: ignore[arg-type]

        asyncio.run(run())
    assert arrived == [["GET /x", "goodbye"]]


def test_what_cannot_be_sent_at_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers end the process without atexit: what the backend has not taken by then is reported as dropped."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        for message in [START, BODY] if scope["type"] == "http" else [{"type": "lifespan.shutdown.complete"}]:
            await send(message)

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = 503
        dropped: list[Dropped] = []
        middleware = ZespanMiddleware(app, flush_timeout=0.1, on_error=dropped.append)
        asyncio.run(serve(middleware, scope()))
        asyncio.run(serve(middleware, {"type": "lifespan"}))
    assert [(group.events, group.reason) for group in dropped] == [(1, "closed")]


def test_what_is_captured_in_a_websocket_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before there has been any request."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        with span("chat"):
            pass

    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        asyncio.run(serve(ZespanMiddleware(app), {"type": "websocket"}))
        assert [event["operation"] for event in backend.wait_for(1, timeout=2)] == ["chat"]  # flush_interval is 5 s


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_what_is_captured_in_a_websocket_that_breaks_off_is_sent(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException], frozen: bool
) -> None:
    """A client that leaves ends most connections by an exception, which propagates. Where the process may be frozen,
    the events are sent before, unless the task is cancelled."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        with span("chat"):
            raise error

    if frozen:
        monkeypatch.setenv("K_SERVICE", "chat")
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        with pytest.raises(error):
            asyncio.run(serve(ZespanMiddleware(app, flush_interval=60), {"type": "websocket"}))
        if frozen and error is ValueError:
            assert len(backend.events) == 1
        assert [event["operation"] for event in backend.wait_for(1, timeout=10)] == ["chat"]


def test_the_missing_body_of_a_head_response_is_no_disconnect() -> None:
    """Clients leave when they have the headers."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(MORE)
        await receive()

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(app), {**scope(), "method": "HEAD"}, {"type": "http.disconnect"}))
    assert "client_disconnected" not in events[0]["metadata"]


@pytest.mark.parametrize("deadline", ["Infinity", "NaN", "1" + "0" * 400, "[" * 100_000, "null", '"x"'])
def test_any_context_header_will_do(deadline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the middleware runs on Lambda without the Web Adapter, its header may be anybody's."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "chat")
    headers = [(b"x-amzn-lambda-context", f'{{"deadline": {deadline}}}'.encode())]

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    with testing.recording() as events:
        asyncio.run(serve(ZespanMiddleware(app), {**scope(), "headers": headers}))
    assert len(events) == 1
    assert "time_left_at_end_ms" not in events[0]["metadata"]


def test_what_a_client_says_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """No header and no method makes an event large; Vercel's id is one on Vercel only."""
    long = "x" * 60_000

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    names = ("x-vercel-id", "function-execution-id", "host", "traceparent")
    asked = {**scope(long), "method": long, "headers": [(name.encode(), long.encode()) for name in names]}
    for name, value, known in (("HOME", "/", False), ("VERCEL", "1", True), ("K_SERVICE", "chat", True)):
        with monkeypatch.context() as patch, testing.recording() as events:
            patch.setenv(name, value)
            asyncio.run(serve(ZespanMiddleware(app), dict(asked)))
        assert len(str(events[0])) < 12_000
        assert ("faas.invocation_id" in events[0]["metadata"]) == known


def test_a_mistake_in_the_settings_is_one_while_the_application_is_made() -> None:
    """And never while it serves."""
    with pytest.raises(ConfigurationError, match="flush_timeout"):
        ZespanMiddleware(_waits, flush_timeot=1)  # type: ignore[call-arg]


def test_broken_messages_are_the_servers_to_judge() -> None:
    """What is no message, or has a status that is no number, reaches the server as it is."""
    messages: list[Any] = [{"no": "type"}, {"type": "http.response.start", "status": "200", "headers": None}, BODY]

    async def app(scope: Message, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    with testing.recording() as events:
        sent = asyncio.run(serve(ZespanMiddleware(app), scope()))
    assert sent == messages
    assert len(events) == 1
