"""A call and a stream as OpenInference's instrumentation of openai sees them, through our span processor, as JSON.

Runs in an environment with that instrumentation. Our own tracing is not there yet when the calls are made.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor  # type: ignore[import-not-found,unused-ignore]
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.providers.openai.conftest import Scripted
from zespan_serverless import testing
from zespan_serverless.opentelemetry import SpanProcessor

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 4,
    "total_tokens": 34,
    "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def main() -> None:
    spans, provider, model = InMemorySpanExporter(), TracerProvider(), Scripted()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    model.replies = [{**Scripted.completion("21 degrees"), "usage": USAGE}]
    client = openai.OpenAI(base_url=model.url, api_key="k", max_retries=0)
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How warm is it?"}]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL])
    model.close()
    with testing.recording() as events:
        processor = SpanProcessor()
        for one in spans.get_finished_spans():
            known: Any = one
            processor.on_start(known)
            processor.on_end(one)
    sys.stdout.write(json.dumps(list(events), default=str) + "\n")


if __name__ == "__main__":
    main()
