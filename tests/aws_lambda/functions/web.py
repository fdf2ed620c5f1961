"""A FastAPI application, under Mangum in several ways, and for a server behind the Web Adapter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from mangum import Mangum

from zespan_serverless import span, zespan_lambda
from zespan_serverless.asgi import ZespanMiddleware


def application(*, traced: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/greetings/{name}")
    async def greet(name: str) -> dict[str, str]:
        with span("work"):
            return {"hello": name}

    @app.get("/boom")
    async def boom() -> None:
        raise ValueError("boom")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                with span("piece"):
                    await asyncio.sleep(0.01)
                yield f"{number}\n"

        return StreamingResponse(pieces())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(later)
        return "background"

    if traced:
        app.add_middleware(cast(Any, ZespanMiddleware))  # Starlette has other types for the same
    return app


def later() -> None:
    time.sleep(0.05)
    with span("later"):
        pass


app = application(traced=True)
both = zespan_lambda(Mangum(app))  # lifespan="auto": startup and shutdown at every call
inside = Mangum(application(traced=True))
outside = zespan_lambda(Mangum(application(traced=False)))
