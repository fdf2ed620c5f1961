"""FastAPI: `def` and `async def` endpoints, routers, a mounted application, and Starlette's for the rest."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import starlette_app
from common import TRACED, reached
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket

from zespan_serverless import span
from zespan_serverless.asgi import ZespanMiddleware


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    with span("shutdown"):
        pass


app = FastAPI(lifespan=lifespan)
if TRACED:
    app.add_middleware(ZespanMiddleware)

items = APIRouter(prefix="/items")
part = FastAPI()


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    with span("step"):
        return {"hello": name}


@app.get("/sync/{name}")
def sync(name: str) -> dict[str, str]:
    with span("step"):
        return {"hello": name}


@app.get("/unavailable")
async def unavailable() -> None:
    raise HTTPException(503, "later")


@app.get("/handler")
async def handler(gate: str) -> dict[str, bool]:
    """Set a handler of the user's own, which leaves the server's in force."""
    before: Any = signal.getsignal(signal.SIGTERM)

    def mine(number: int, frame: object) -> None:
        reached(gate, "mine")
        before(number, frame)

    signal.signal(signal.SIGTERM, mine)
    return {"set": True}


@items.get("/{number}")
async def item(number: int) -> int:
    return number


@part.get("/{number}")
async def of_part(number: int) -> int:
    return number


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


app.include_router(items, prefix="/v1")
app.mount("/part", part)
for route in starlette_app.app.routes:
    if getattr(route, "path", "") not in ("/hello/{name}", "/sync/{name}"):
        app.router.routes.append(route)
