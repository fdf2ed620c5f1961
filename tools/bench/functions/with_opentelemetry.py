"""With OpenTelemetry: its instrumentations of Lambda, which flushes before the return, and of openai; OTLP by HTTP."""

from __future__ import annotations

from typing import Any

from bench_work import client, work
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()
model = client()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)


AwsLambdaInstrumentor().instrument()
