"""A web application that makes one model call in each request: `app` for ASGI, `wsgi` for WSGI.

BENCH_SUBJECT names what traces it.
"""

from __future__ import annotations

import os
from typing import Any

from bench_work import client, request
from openai import AsyncOpenAI, OpenAI

SUBJECT = os.environ["BENCH_SUBJECT"]
TEXT = [("content-type", "text/plain"), ("content-length", "2")]
blocking: Any = OpenAI
asynchronous: Any = AsyncOpenAI

if SUBJECT == "sdk":
    import zespan

    backend = os.environ["BENCH_BACKEND"]
    zespan.init(api_key="zsp_bench", endpoint=f"{backend}/v1/ingest", base_url=backend)
elif SUBJECT == "langfuse":
    from langfuse import openai

    asynchronous, blocking = openai.AsyncOpenAI, openai.OpenAI
elif SUBJECT == "opentelemetry":
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    OpenAIInstrumentor().instrument()

waits, blocks = client(asynchronous), client(blocking)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request of ASGI, whose path is the name of the call."""
    if scope["type"] != "http":
        raise NotImplementedError
    await waits.chat.completions.create(**request({"call": scope["path"][1:]}, 0))
    headers = [(name.encode(), value.encode()) for name, value in TEXT]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def _wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer a request of WSGI."""
    blocks.chat.completions.create(**request({"call": environ["PATH_INFO"][1:]}, 0))
    start_response("200 OK", TEXT)
    return [b"ok"]


app: Any = _app
wsgi: Any = _wsgi
if SUBJECT == "package":
    from zespan_serverless.asgi import ZespanMiddleware as Asgi
    from zespan_serverless.wsgi import ZespanMiddleware as Wsgi

    app, wsgi = Asgi(app), Wsgi(wsgi)
elif SUBJECT == "langfuse":
    from langfuse import observe

    observed = observe(name="request", capture_input=False)(app)

    async def app(scope: Any, receive: Any, send: Any) -> None:  # uvicorn takes what Langfuse returns for a factory
        await observed(scope, receive, send)

    wsgi = observe(name="request", capture_input=False, capture_output=False)(wsgi)
elif SUBJECT == "opentelemetry":
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as Otel
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OtelWsgi

    app, wsgi = Otel(app), OtelWsgi(wsgi)
