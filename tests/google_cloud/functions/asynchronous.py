"""HTTP functions as Starlette has them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import functions_framework.aio
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from zespan_serverless import span, traceparent, with_context, zespan_gcf

MESSAGES: Any = [{"role": "user", "content": "hi"}]


async def ask() -> str:
    from openai import AsyncOpenAI  # not by those who only say hello: it takes half a second

    answer = await AsyncOpenAI().chat.completions.create(model="gpt-4o", messages=MESSAGES)
    return str(answer.choices[0].message.content)


@functions_framework.aio.http
@zespan_gcf
async def chat(request: Request) -> Any:
    match request.url.path:
        case "/llm":
            return {"answer": await ask()}
        case "/boom":
            raise ValueError("boom")
        case "/abort":
            raise HTTPException(404)
        case "/unavailable":
            return "later", 503
        case "/sleep":
            await asyncio.sleep(float(request.query_params["s"]))
            return "slept"
        case "/user":
            with with_context(user_id=request.query_params["name"]), span("step"):
                await asyncio.sleep(0.05)
                return {"name": request.query_params["name"], "trace": str(traceparent())}
        case "/background":
            return JSONResponse({"ok": True}, background=BackgroundTask(ask))
        case "/body":
            return (await request.body()).decode()
        case "/pieces":
            return "".join([piece.decode() async for piece in request.stream()])
    return "hello"


@functions_framework.aio.http
async def bare(request: Request) -> Any:
    return "hello"


@zespan_gcf(flush_mode="after_response")
@functions_framework.aio.http
async def above(request: Request) -> Any:
    """Return the framework's decorator below ours."""
    if request.url.path == "/sleep":
        await asyncio.sleep(float(request.query_params["s"]))
    return "hello"


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.005)


async def numbers(gate: str | None = None) -> AsyncIterator[str]:
    for number in range(3):
        if gate:
            await asyncio.to_thread(wait_for, Path(gate, str(number)))
        with span(f"piece {number}"):
            text = await ask() if number == 1 else "piece"
        yield f"{number} {text}\n"


def in_threads() -> Iterator[str]:
    from openai import OpenAI

    for number in range(3):
        with span(f"piece {number}"):
            text = str(OpenAI().chat.completions.create(model="gpt-4o", messages=MESSAGES).id) if number == 1 else ""
        yield f"{number} {text}\n"


@functions_framework.aio.http
@zespan_gcf
async def stream(request: Request) -> Any:
    match request.url.path:
        case "/broken":
            return StreamingResponse(broken())
        case "/threads":
            return StreamingResponse(in_threads())
        case "/endless":
            return StreamingResponse(endless())
    return StreamingResponse(numbers(request.query_params.get("gate")), 201)


async def broken() -> AsyncIterator[str]:
    yield "one\n"
    raise ValueError("broken")


async def endless() -> AsyncIterator[str]:
    while True:
        yield "more\n"
        await asyncio.sleep(0.01)


@functions_framework.aio.http
@zespan_gcf
def in_executor(request: Request) -> Any:
    """Return a sync function on the async server."""
    time.sleep(0.01)
    return {"pid": os.getpid()}
