"""Calls of traced functions that the user's alarm interrupts at any moment: `python -m tests.alarms HOST ROUNDS`.

Prints the outcome as one line of JSON. The alarm's handler raises while code of a host or of the function itself runs.
It does not raise in the delivery and the SIGTERM watch, which have tests of their own, or where none of our code runs.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import zespan_serverless
from zespan_serverless import flush, span, testing, with_context
from zespan_serverless._process import container as _container
from zespan_serverless._trace import context as _trace
from zespan_serverless.exporters.memory import MemoryExporter

PACKAGE = str(Path(zespan_serverless.__file__).parent)
ASYNCIO = str(Path(asyncio.__file__).parent)


class Alarm(TimeoutError):
    """Raised by the alarm. A TimeoutError, because our own code catches those elsewhere."""


class Clock:
    """The alarm's handler, with the number of exceptions that it has raised."""

    def __init__(self) -> None:
        self.raised, self.is_set = 0, False
        signal.signal(signal.SIGALRM, self.rings)

    def rings(self, number: int, frame: Any) -> None:
        """Raise Alarm, as a timeout of the user's would."""
        nearest, ours = None, False
        while frame is not None:
            file = frame.f_code.co_filename
            if frame.f_code.co_name in ("__del__", "_remove"):
                return  # an exception cannot leave a finalizer or the callback of a weak reference
            known = file.startswith((PACKAGE, ASYNCIO, __file__))
            nearest, ours = nearest or (file if known else None), ours or file.startswith(PACKAGE)
            frame = frame.f_back
        if ours and nearest is not None and not nearest.startswith(ASYNCIO):  # an interrupted event loop may never end
            self.raised += 1
            raise Alarm
        if self.is_set:
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)


ENOUGH = 50
"""Interrupted calls that make the result meaningful."""

AGAIN_S = 50e-6
"""Seconds until an alarm that has struck other code is repeated. On an event loop, most of the code is asyncio's."""

started = 0
"""Calls that have reached the user's function."""


def work() -> None:
    """What a function does."""
    global started
    started += 1
    with span("step"), with_context(tags={"a": "b"}):
        pass


def _lambda(*, awaited: bool) -> Callable[[], object]:
    context = testing.LambdaContext()
    if not awaited:

        @zespan_serverless.zespan_lambda
        def handler(event: object, context: object) -> str:
            work()
            return "done"

        return lambda: handler({}, context)

    @zespan_serverless.zespan_lambda
    async def awaiting(event: object, context: object) -> str:
        work()
        await asyncio.sleep(0)
        return "done"

    return lambda: awaiting({}, context)


def _by_hand() -> Callable[[], object]:
    """With a reader of the user, and spans that are filled in."""

    @zespan_serverless.zespan_lambda(user_id=lambda event: event["user"])
    def handler(event: object, context: object) -> str:
        work()
        with span("agent", kind="agent"), span("ask", kind="llm", model="m", provider="p", messages="Hi") as call:
            call.output("x")
            call.usage(input_tokens=1, output_tokens=1)
        with span("tool", kind="tool", arguments={"a": [1]}) as tool:
            tool.result({"a": 1})
        return "done"

    return lambda: handler({"user": "ada"}, testing.LambdaContext())


def _azure(*, awaited: bool) -> Callable[[], object]:
    if not awaited:

        @zespan_serverless.zespan_azure
        def function(req: object) -> str:
            work()
            return "done"

        return lambda: function(None)

    @zespan_serverless.zespan_azure
    async def awaiting(req: object) -> str:
        work()
        await asyncio.sleep(0)
        return "done"

    return lambda: awaiting(None)


def _gcf(*, awaited: bool) -> Callable[[], object]:
    if not awaited:

        @zespan_serverless.zespan_gcf
        def function(request: object) -> str:
            work()
            return "done"

        return lambda: function(None)

    @zespan_serverless.zespan_gcf
    async def awaiting(request: object) -> str:
        work()
        await asyncio.sleep(0)
        return "done"

    return lambda: awaiting(None)


def _wsgi() -> Callable[[], object]:
    from zespan_serverless.wsgi import ZespanMiddleware

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        work()
        return (b"piece" for _ in range(2)) if random.random() < 0.5 else [b"whole"]

    traced = ZespanMiddleware(app)

    def serve() -> None:
        environ: dict[str, Any] = {"PATH_INFO": "/"}
        setup_testing_defaults(environ)
        body: Any = traced(environ, lambda *_: None)
        try:
            for _ in body:
                pass
        finally:
            if hasattr(body, "close"):
                body.close()

    return serve


def _asgi() -> Callable[[], object]:
    from zespan_serverless.asgi import ZespanMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        work()
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def quiet(*_: object) -> Any:
        return {"type": "http.request"}

    traced = ZespanMiddleware(app)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    return lambda: traced(dict(scope), quiet, quiet)


def _vercel() -> Callable[[], object]:
    @zespan_serverless.zespan_vercel
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            work()
            self.send_response(200)
            self.end_headers()

    def serve() -> None:
        request: Any = Handler.__new__(Handler)
        request.command, request.path, request.headers = "GET", "/", HTTPMessage()
        request.request_version, request.requestline, request.wfile = "HTTP/1.1", "GET / HTTP/1.1", io.BytesIO()
        request.client_address, request.log_message = ("127.0.0.1", 1), lambda *_: None
        request.do_GET()

    return serve


def _run(*, awaited: bool) -> Callable[[], object]:
    if not awaited:
        return zespan_serverless.run(work)

    @zespan_serverless.run
    async def main() -> None:
        work()
        await asyncio.sleep(0)

    return main


def _generator(decorate: Callable[[Any], Any], *args: object) -> Callable[[], object]:
    @decorate
    def pieces(*args: object) -> Iterator[int]:
        yield 1
        work()
        yield 2

    return lambda: list(pieces(*args))


def _async_generator(decorate: Callable[[Any], Any], *args: object) -> Callable[[], object]:
    @decorate
    async def pieces(*args: object) -> AsyncIterator[int]:
        yield 1
        work()
        await asyncio.sleep(0)
        yield 2

    async def read() -> list[int]:
        return [piece async for piece in pieces(*args)]

    return read


HOSTS: dict[str, Callable[[], Callable[[], Any]]] = {
    "lambda": lambda: _lambda(awaited=False),
    "lambda, async": lambda: _lambda(awaited=True),
    "lambda, on a loop": lambda: _lambda(awaited=True),
    "lambda, by hand": _by_hand,
    "azure": lambda: _azure(awaited=False),
    "azure, on a loop": lambda: _azure(awaited=True),
    "gcf": lambda: _gcf(awaited=False),
    "gcf, on a loop": lambda: _gcf(awaited=True),
    "wsgi": _wsgi,
    "asgi, on a loop": _asgi,
    "vercel": _vercel,
    "run": lambda: _run(awaited=False),
    "run, on a loop": lambda: _run(awaited=True),
    "lambda, generator": lambda: _generator(zespan_serverless.zespan_lambda, {}, testing.LambdaContext()),
    "gcf, generator": lambda: _generator(zespan_serverless.zespan_gcf, None),
    "run, generator": lambda: _generator(zespan_serverless.run),
    "gcf, generator on a loop": lambda: _async_generator(zespan_serverless.zespan_gcf, None),
    "run, generator on a loop": lambda: _async_generator(zespan_serverless.run),
}


def _on_a_loop(call: Callable[[], Any]) -> Callable[[], Any]:
    async def awaited() -> Any:
        return await call()

    return lambda: asyncio.run(awaited())


def _roots(exporter: MemoryExporter) -> set[str]:
    """Return the ids of root events. An interrupted invocation may have sent its root event twice, with the same id."""
    return {event["event_id"] for event in exporter.events if "start_kind" in (event.get("metadata") or {})}


def main(host: str, rounds: int) -> dict[str, object]:
    """Call the function `rounds` times, each time with an alarm. Returns counts of calls and of what went wrong."""
    exporter = MemoryExporter()
    zespan_serverless.init(exporter=exporter, flush_interval=3600, max_events=100_000)
    call = HOSTS[host]()
    if host.endswith("on a loop"):
        call = _on_a_loop(call)
    container, clock = _container.current(), Clock()
    assert container is not None
    for _ in range(10):
        call()
    longest = 1e-3
    caught = active = current = rootless = swallowed = 0
    number = -1
    # More rounds if too few calls were interrupted: on a busy machine most alarms come too late.
    while number < rounds or (caught < ENOUGH and number < 20 * rounds):
        number += 1
        raised, mine = clock.raised, 0
        try:
            clock.is_set = True
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, longest))
            call()
        except Alarm:
            mine = 1
        finally:
            clock.is_set = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        caught += mine
        longest = min(max(longest * (1.1 if mine else 0.9), 2e-5), 0.1)  # so that about every other alarm strikes
        swallowed += clock.raised - raised != mine
        active += bool(container.active)
        current += _trace.current() is not None
        if mine and number % 5 == 0:
            gc.collect()  # an invocation whose end was struck, too, ends with its objects, some of which form a cycle
            flush(5)
            before = len(_roots(exporter))
            call()
            flush(5)
            rootless += len(_roots(exporter)) != before + 1
        container.active.clear()
        _trace.forget()
    reason = flush(5).reason
    return {
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "caught": caught,
        "swallowed": swallowed,
        "active": active,
        "current": current,
        "rootless": rootless,
        "untold": max(0, started - len(_roots(exporter))),
        "reason": reason,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
