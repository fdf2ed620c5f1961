"""Makes model calls through another tool, and sends its spans by OpenTelemetry's own exporters. Runs in that
tool's environment, with the exporters on the path:

python -m tests.dev.ingest.instrumented TOOL FORMAT COMPRESSION ENDPOINT MODEL_URL
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import openai

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def main(tool: str, format: str, compression: str, endpoint: str, model_url: str) -> None:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    exporters: Any = import_module(f"opentelemetry.exporter.otlp.{format}.http.trace_exporter")
    resource = import_module("opentelemetry.sdk.resources").Resource({"service.name": "weather-service"})
    provider = sdk.TracerProvider(resource=resource)
    os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    exporter = exporters.OTLPSpanExporter(endpoint=endpoint)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    modules = {
        "opentelemetry": "opentelemetry.instrumentation.openai_v2",
        "traceloop": "opentelemetry.instrumentation.openai",
        "openinference": "openinference.instrumentation.openai",
    }
    import_module(modules[tool]).OpenAIInstrumentor().instrument(tracer_provider=provider)
    client = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0)
    with provider.get_tracer("test").start_as_current_span("GET /weather", kind=_server()):
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße"}],
        )
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Weather?"}], tools=[TOOL]
        )
    provider.shutdown()


def _server() -> Any:
    return import_module("opentelemetry.trace").SpanKind.SERVER


if __name__ == "__main__":
    main(*sys.argv[1:])
