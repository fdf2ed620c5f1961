"""The tools that are compared: how each is set up, as its documentation says, and what it has recorded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Seen:
    """What a tool has recorded of one call. `content` is all of its text."""

    input: int | None
    output: int | None
    cached: int | None
    reason: Any
    first: bool
    failed: bool
    content: str


class Tool:
    """No tool: the SDKs alone."""

    packages: tuple[str, ...] = ()

    def start(self) -> None:
        """Set the tool up, before any client is made."""

    def seen(self) -> list[Seen]:
        """The records of the calls since this was called last."""
        return []


def _of_event(event: dict[str, Any]) -> Seen:
    return Seen(
        event.get("input_tokens"),
        event.get("output_tokens"),
        event.get("cached_tokens"),
        event.get("finish_reason"),
        event.get("ttft_ms") is not None,
        event.get("status") == "error",
        json.dumps(event),
    )


class Ours(Tool):
    """This package."""

    packages = ("zespan-serverless",)

    def start(self) -> None:
        from zespan_serverless import testing

        self._recording = testing.recording()
        self._events = self._recording.__enter__()

    def seen(self) -> list[Seen]:
        from zespan_serverless import flush

        flush(5)
        found = [_of_event(event) for event in self._events]
        self._events.clear()
        return found


class Zespan(Tool):
    """The official SDK, with a backend on this machine. Two events of one span are one record: the later one."""

    packages = ("zespan",)

    def start(self) -> None:
        import zespan

        from zespan_serverless.testing import Backend

        self._backend, self._known = Backend(), 0
        endpoint = f"{self._backend.url}/v1/ingest"
        zespan.init(autopatch=False, api_key="zsp_key", project_id="p", endpoint=endpoint, store_prompts=True)
        for name in ("openai", "anthropic", "bedrock", "mistral", "groq", "cohere", "google_genai"):
            with contextlib.suppress(AttributeError):  # with mistralai 2 and later; `autopatch` raises it
                getattr(zespan, f"patch_{name}")()

    def seen(self) -> list[Seen]:
        client = importlib.import_module("zespan.client").get_client()
        client.flush()
        while client._batch_engine._flushing:  # its own thread sends what it has taken
            time.sleep(0.001)
        events, self._known = self._backend.events[self._known :], len(self._backend.events)
        return [_of_event(event) for event in {event["span_id"]: event for event in events}.values()]


class _Spans(Tool):
    """A tool that records OpenTelemetry's spans."""

    instrumentors: tuple[tuple[str, str], ...] = ()

    def start(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        trace.set_tracer_provider(provider)
        for module, name in self.instrumentors:
            getattr(importlib.import_module(module), name)().instrument()

    def seen(self) -> list[Seen]:
        spans = self._exporter.get_finished_spans()
        self._exporter.clear()
        return [self.read(span) for span in spans if self.is_call(span.attributes or {})]

    def is_call(self, attributes: Any) -> bool:
        raise NotImplementedError

    def read(self, span: Any) -> Seen:
        raise NotImplementedError

    @staticmethod
    def content(span: Any) -> str:
        events = [[event.name, dict(event.attributes or {})] for event in span.events]
        return json.dumps([dict(span.attributes), events], default=str)


class OpenTelemetry(_Spans):
    """OpenTelemetry's own instrumentations."""

    packages = (
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry-instrumentation-genai-anthropic",
        "opentelemetry-instrumentation-genai-bedrock",
        "opentelemetry-instrumentation-google-genai",
    )
    instrumentors = (
        ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
        ("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor"),
        ("opentelemetry.instrumentation.genai.bedrock", "BedrockInstrumentor"),
        ("opentelemetry.instrumentation.google_genai", "GoogleGenAiSdkInstrumentor"),
    )

    def start(self) -> None:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
        super().start()

    def is_call(self, attributes: Any) -> bool:
        return "gen_ai.operation.name" in attributes

    def read(self, span: Any) -> Seen:
        has = span.attributes
        return Seen(
            has.get("gen_ai.usage.input_tokens"),
            has.get("gen_ai.usage.output_tokens"),
            has.get("gen_ai.usage.cache_read.input_tokens"),
            has.get("gen_ai.response.finish_reasons"),
            "gen_ai.response.time_to_first_chunk" in has,
            span.status.status_code.name == "ERROR",
            self.content(span),
        )


class OpenInference(_Spans):
    """Arize's instrumentations."""

    packages = (
        "openinference-instrumentation-openai",
        "openinference-instrumentation-anthropic",
        "openinference-instrumentation-bedrock",
        "openinference-instrumentation-cohere",
        "openinference-instrumentation-google-genai",
        "openinference-instrumentation-groq",
        "openinference-instrumentation-mistralai",
    )
    instrumentors = (
        ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
        ("openinference.instrumentation.anthropic", "AnthropicInstrumentor"),
        ("openinference.instrumentation.bedrock", "BedrockInstrumentor"),
        ("openinference.instrumentation.cohere", "CohereInstrumentor"),
        ("openinference.instrumentation.google_genai", "GoogleGenAIInstrumentor"),
        ("openinference.instrumentation.groq", "GroqInstrumentor"),
        ("openinference.instrumentation.mistralai", "MistralAIInstrumentor"),
    )

    def is_call(self, attributes: Any) -> bool:
        return "openinference.span.kind" in attributes

    def read(self, span: Any) -> Seen:
        has = span.attributes
        return Seen(
            has.get("llm.token_count.prompt"),
            has.get("llm.token_count.completion"),
            has.get("llm.token_count.prompt_details.cache_read"),
            has.get("llm.finish_reason"),
            any(event.name == "First Token Stream Event" for event in span.events),
            span.status.status_code.name == "ERROR",
            self.content(span),
        )


TOOLS: dict[str, type[Tool]] = {
    "nobody": Tool,
    "zespan_serverless": Ours,
    "zespan": Zespan,
    "opentelemetry": OpenTelemetry,
    "openinference": OpenInference,
}


async def settled(tool: Tool) -> list[Seen]:
    """Return what the tool has recorded when everything of the call is gone: some end a span only then."""
    for _ in range(2):
        gc.collect()
        await asyncio.sleep(0.01)  # the event loop closes generators that are left, which leaves more to collect
    return tool.seen()
