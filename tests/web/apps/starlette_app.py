"""Starlette, also under trio: nothing in here is asyncio's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
from common import PIECES, TRACED, WAIT, exists, reached
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from zespan_serverless import capture, span, traceparent
from zespan_serverless.asgi import ZespanMiddleware


async def wait(gate: str, name: str) -> None:
    end = time.monotonic() + WAIT
    while gate and not exists(gate, name) and time.monotonic() < end:  # noqa: ASYNC110
        await anyio.sleep(0.005)


async def hello(request: Request) -> Response:
    with span("step"):
        await anyio.lowlevel.checkpoint()
    return JSONResponse({"hello": request.path_params["name"]})


def sync(request: Request) -> Response:
    with span("step"):
        return JSONResponse({"hello": request.path_params["name"]})


async def stream(request: Request) -> Response:
    gate = request.query_params.get("gate", "")

    async def pieces() -> AsyncIterator[str]:
        for number in range(PIECES):
            await wait(gate, str(number))
            with span("piece"):
                yield f"{number}\n"

    return StreamingResponse(pieces())


async def flood(request: Request) -> Response:
    gate = request.query_params.get("gate", "")

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                reached(gate, "flooding")
                await anyio.lowlevel.checkpoint()  # otherwise the client's disconnect would not be noticed
        finally:
            reached(gate, "left")

    return StreamingResponse(pieces())


async def sized(request: Request) -> Response:
    """Return a stream whose length is announced: the client has all of it before the server knows that it is over."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"
        with span("tail"):
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(pieces(), headers={"content-length": "4"})


async def fail(request: Request) -> Response:
    raise ValueError("no")


async def status(request: Request) -> Response:
    return Response(status_code=int(request.path_params["code"]))


async def slow(request: Request) -> Response:
    gate = request.query_params.get("gate", "")
    with span("step"):
        reached(gate, "started")
        await wait(gate, "go")
    return JSONResponse({"slow": True})


async def background(request: Request) -> Response:
    def after() -> None:
        with span("after"):
            pass

    return JSONResponse({"trace": traceparent()}, background=BackgroundTask(after))


async def who(request: Request) -> Response:
    name = request.path_params["name"]
    with span(name):
        await anyio.sleep(0.02)
        capture({"span_kind": "llm", "operation": f"call of {name}"})
    return JSONResponse({"name": name, "traceparent": traceparent()})


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/sync/{name}", sync),
        Route("/stream", stream),
        Route("/flood", flood),
        Route("/sized", sized),
        Route("/fail", fail),
        Route("/status/{code}", status),
        Route("/slow", slow),
        Route("/background", background),
        Route("/who/{name}", who),
        Mount("/inner/{tenant}", routes=[Route("/hello/{name}", hello)]),
    ],
    middleware=[Middleware(ZespanMiddleware)] if TRACED else [],
)
