"""An application that cannot start, and one that starts telemetry while it is imported, before a server forks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common import TRACED
from fastapi import FastAPI
from flask import Flask

from zespan_serverless import init, span
from zespan_serverless.asgi import ZespanMiddleware
from zespan_serverless.wsgi import ZespanMiddleware as Wsgi


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    raise RuntimeError("cannot start")
    yield


app = FastAPI(lifespan=lifespan)
if TRACED:
    app.add_middleware(ZespanMiddleware)

early = Flask(__name__)
if os.environ.get("EARLY"):
    init()
    with span("imported"):
        pass
    early.wsgi_app = Wsgi(early.wsgi_app)  # type: ignore[method-assign]


@early.get("/hello/<name>")
def hello(name: str) -> str:
    return name
