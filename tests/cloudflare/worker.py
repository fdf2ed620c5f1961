"""A Worker that the tests call: a path for each way to answer. It runs in Pyodide, see host.mjs."""

import asyncio
import json
from typing import Any

import asgi
import js
from entry import Default as Example
from page_0 import Default as Page
from page_2 import Conversation
from pyodide.ffi import create_proxy
from workers import DurableObject, Response, WorkerEntrypoint

from zespan_serverless import _process, flush, span, zespan_cloudflare
from zespan_serverless import wsgi as wsgi_app
from zespan_serverless._process.container import build_exporter, journal_of
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import new_span
from zespan_serverless.asgi import ZespanMiddleware
from zespan_serverless.settings import Settings, resolve


async def write(writer: Any) -> None:
    encode = js.TextEncoder.new().encode
    with span("in the stream"):
        for number in range(3):
            await asyncio.sleep(0.01)
            await writer.write(encode(f"data: {number}\n\n"))
    await writer.close()


async def later() -> None:
    await asyncio.sleep(0.05)
    with span("work"):
        pass


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        with span("work"):
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"b"})


__all__ = ["Conversation", "Example", "Page"]  # the classes of the documentation's page, and of the example


def pieces(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("content-type", "text/plain")])
    yield b"a"
    with span("work"):
        yield b"b"


class Wsgi(WorkerEntrypoint):
    async def fetch(self, request: Any) -> Any:
        from workers import wsgi

        return await wsgi.fetch(wsgi_app.ZespanMiddleware(pieces), request, self.env)


@zespan_cloudflare
class Waiting(WorkerEntrypoint):
    """One whose settings say that events are sent before the return."""

    async def fetch(self, request: Any) -> Any:
        settings: Any = _process.current()
        settings.settings.flush_mode = "before_return"
        return Response("answer")


class Stream(Response):
    """A response with a constructor of its own."""

    def __init__(self, body: Any, *, kept: str) -> None:
        super().__init__(body, headers={"content-type": "text/event-stream", "x-own": kept}, status=201)


class Untraced(WorkerEntrypoint):
    async def fetch(self, request: Any) -> Any:
        return await asgi.fetch(ZespanMiddleware(application), request, self.env)


@zespan_cloudflare
class Default(WorkerEntrypoint):
    async def fetch(self, request: Any) -> Any:
        path = "/" + request.url.split("/", 3)[3]
        with span("work"):
            await asyncio.sleep(0.01)
        if path == "/exception":
            raise ValueError("a failure")
        if path == "/unavailable":
            return Response("later", status=503)
        if path in ("/stream", "/subclass"):
            pair = js.TransformStream.new()
            self.ctx.waitUntil(create_proxy(asyncio.ensure_future(write(pair.writable.getWriter()))))
            if path == "/subclass":
                return Stream(pair.readable, kept="kept")
            return Response(pair.readable, headers={"content-type": "text/event-stream", "x-own": "kept"}, status=201)
        if path == "/later":
            self.ctx.waitUntil(create_proxy(asyncio.ensure_future(later())))
        if path == "/flush":
            return Response(str(flush(10)))
        if path == "/many":
            for _ in range(120):
                with span("one of many"):
                    pass
        return Response("answer")

    async def scheduled(self, controller: Any, env: Any, ctx: Any) -> None:
        with span("work"):
            pass

    async def queue(self, batch: Any, env: Any, ctx: Any) -> None:
        with span("work"):
            pass


@zespan_cloudflare
class Counter(DurableObject):
    async def increment(self) -> None:
        with span("work"):
            pass


class Formats(WorkerEntrypoint):
    """Sends one event in the format of another exporter, and answers how that went."""

    async def fetch(self, request: Any) -> Any:
        name = request.headers.get("x-exporter")
        settings = resolve({"exporter": name})
        exporter: Any = build_exporter(settings)
        record = Record(new_span(), Resource(settings), "general", "x")
        outcome = await exporter.send_async([exporter.encode(record)], 10.0)
        return Response(outcome.verdict)


class Journal(WorkerEntrypoint):
    """What comes of the setting `journal`."""

    async def fetch(self, request: Any) -> Any:
        settings = Settings(journal="on")
        return Response(repr(journal_of(settings, build_exporter(settings.replaced(exporter="zespan")))))


class Counters(WorkerEntrypoint):
    """What the delivery has counted."""

    async def fetch(self, request: Any) -> Any:
        container = _process.current()
        if container is not None:
            container.settings.flush_mode = "auto"
        delivery = container.delivery if container is not None else None
        return Response(
            json.dumps(delivery and [delivery.captured, delivery.delivered, delivery.pending, delivery.lost])
        )
