"""A Worker that the tests call: a path for each way to answer. It runs in Pyodide, see host.mjs."""

import asyncio
import json

import js
from pyodide.ffi import create_proxy
from workers import Response, WorkerEntrypoint

from zespan_serverless import flush, span
from zespan_serverless.cloudflare import zespan_cloudflare


def container():
    from zespan_serverless import _process

    return _process.current()


async def stream(writer):
    encode = js.TextEncoder.new().encode
    with span("in the stream"):
        for number in range(3):
            await asyncio.sleep(0.01)
            await writer.write(encode(f"data: {number}\n\n"))
    await writer.close()


@zespan_cloudflare
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = "/" + request.url.split("/", 3)[3]
        if path == "/counters":
            delivery = container().delivery
            numbers = [delivery.captured, delivery.delivered, delivery.pending, dict(delivery.dropped)]
            return Response(json.dumps(numbers))
        with span("work"):
            await asyncio.sleep(0.01)
        if path == "/error":
            raise ValueError("a failure")
        if path == "/unavailable":
            return Response("later", status=503)
        if path == "/stream":
            pair = js.TransformStream.new()
            self.ctx.waitUntil(create_proxy(asyncio.ensure_future(stream(pair.writable.getWriter()))))
            return Response(pair.readable, headers={"content-type": "text/event-stream"})
        if path == "/later":
            self.ctx.waitUntil(create_proxy(asyncio.ensure_future(self._later())))
        if path == "/flush":
            return Response(str(flush(2)))
        if path == "/many":
            for _ in range(120):
                with span("one of many"):
                    pass
        return Response("answer")

    async def scheduled(self, controller, env, ctx):
        with span("work"):
            pass

    async def queue(self, batch, env, ctx):
        with span("work"):
            pass

    async def count(self):
        """Called by another Worker."""

    async def _later(self):
        await asyncio.sleep(0.05)
        with span("later"):
            pass
