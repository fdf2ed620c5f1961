"""Django, by ASGI (`asgi`) and by WSGI (`wsgi`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
from common import PIECES, TRACED, reached, wait, wait_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path

from zespan_serverless import capture, span, traceparent
from zespan_serverless.asgi import ZespanMiddleware as Asgi
from zespan_serverless.wsgi import ZespanMiddleware as Wsgi

BY_ASGI = os.environ.get("BY_ASGI") == "1"

settings.configure(DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[])
django.setup()


async def hello(request: Any, name: str) -> HttpResponse:
    with span("step"):
        await asyncio.sleep(0)
    return JsonResponse({"hello": name})


def sync(request: Any, name: str) -> HttpResponse:
    with span("step"):
        return JsonResponse({"hello": name})


def stream(request: Any) -> StreamingHttpResponse:
    gate = request.GET.get("gate", "")

    def pieces() -> Iterator[str]:
        for number in range(PIECES):
            wait(gate, str(number))
            with span("piece"):
                yield f"{number}\n"

    async def pieces_async() -> AsyncIterator[str]:
        for number in range(PIECES):
            await wait_async(gate, str(number))
            with span("piece"):
                yield f"{number}\n"

    return StreamingHttpResponse(pieces_async() if BY_ASGI else pieces())


def flood(request: Any) -> StreamingHttpResponse:
    gate = request.GET.get("gate", "")

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                reached(gate, "flooding")
        finally:
            reached(gate, "left")

    async def pieces_async() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                reached(gate, "flooding")
                await asyncio.sleep(0)
        finally:
            reached(gate, "left")

    return StreamingHttpResponse(pieces_async() if BY_ASGI else pieces())


def fail(request: Any) -> HttpResponse:
    raise ValueError("no")


def status(request: Any, code: int) -> HttpResponse:
    return HttpResponse(status=code)


async def slow(request: Any) -> HttpResponse:
    gate = request.GET.get("gate", "")
    with span("step"):
        reached(gate, "started")
        await wait_async(gate, "go")
    return JsonResponse({"slow": True})


async def who(request: Any, name: str) -> HttpResponse:
    with span(name):
        await asyncio.sleep(0.02)
        capture({"span_kind": "llm", "operation": f"call of {name}"})
    return JsonResponse({"name": name, "traceparent": traceparent()})


urlpatterns = [
    path("hello/<str:name>", hello),
    path("sync/<str:name>", sync),
    path("stream", stream),
    path("flood", flood),
    path("fail", fail),
    path("status/<int:code>", status),
    path("slow", slow),
    path("who/<str:name>", who),
    path("items/", include([path("<int:number>", lambda request, number: HttpResponse(str(number).encode()))])),
    re_path(r"^year/(?P<year>\d{4})$", lambda request, year: HttpResponse(str(year).encode())),
]

asgi: Any = get_asgi_application()
wsgi: Any = get_wsgi_application()
if TRACED:
    asgi, wsgi = Asgi(asgi), Wsgi(wsgi)
