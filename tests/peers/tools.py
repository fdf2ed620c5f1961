"""Other tools that trace openai: how to start each, and how to read what it has recorded. Runs in its environment."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any

Json = Any


class Peer:
    """Another tool. `start` is called before `client` makes clients."""

    def start(self, backend: str) -> None:
        """Start the tool. It may send to `backend`, which accepts everything."""

    def client(self, kind: str, **options: Any) -> Any:
        """Return a client of the kind `OpenAI` or `AsyncOpenAI`."""
        return getattr(importlib.import_module("openai"), kind)(**options)

    def around(self) -> Any:
        """Return the context manager for a call; None if the tool needs none."""
        return None

    def spans(self) -> list[Json]:
        """Return the tool's records since the last call of this method."""
        return []


class _OpenTelemetry(Peer):
    """A tool that records OpenTelemetry's spans."""

    def provider(self) -> Any:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = InMemorySpanExporter()
        self.processor = SimpleSpanProcessor(self.exporter)
        provider = TracerProvider()
        provider.add_span_processor(self.processor)
        return provider

    def spans(self) -> list[Json]:
        finished = self.exporter.get_finished_spans()
        self.exporter.clear()
        return [
            {
                "name": span.name,
                "kind": span.kind.name,
                "status": [span.status.status_code.name, span.status.description],
                "attributes": dict(span.attributes or {}),
                "events": [[event.name, dict(event.attributes or {})] for event in span.events],
            }
            for span in finished
        ]


class OpenTelemetry(_OpenTelemetry):
    def start(self, backend: str) -> None:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())


class Traceloop(_OpenTelemetry):
    def start(self, backend: str) -> None:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())


class OpenInference(_OpenTelemetry):
    def start(self, backend: str) -> None:
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())


class Logfire(_OpenTelemetry):
    def start(self, backend: str) -> None:
        import logfire

        self.provider()
        logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[self.processor])
        logfire.instrument_openai()


class Langfuse(_OpenTelemetry):
    """From version 3 on."""

    def start(self, backend: str) -> None:
        from langfuse import Langfuse

        self.langfuse = Langfuse(public_key="pk", secret_key="sk", host=backend, tracer_provider=self.provider())

    def client(self, kind: str, **options: Any) -> Any:
        return getattr(importlib.import_module("langfuse.openai"), kind)(**options)


class Langfuse2(Langfuse):
    """With a queue of its own."""

    def start(self, backend: str) -> None:
        os.environ.update(LANGFUSE_PUBLIC_KEY="pk", LANGFUSE_SECRET_KEY="sk", LANGFUSE_HOST=backend)
        from langfuse._task_manager.task_manager import TaskManager

        self.tasks: list[Json] = []

        def add_task(manager: Any, event: Any) -> None:
            body = event["body"]
            self.tasks.append({"type": event["type"], "body": body.dict() if hasattr(body, "dict") else body})

        TaskManager.add_task = add_task

    def spans(self) -> list[Json]:
        tasks, self.tasks = self.tasks, []
        return tasks


class Sentry(Peer):
    def start(self, backend: str) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.openai import OpenAIIntegration

        self.recorded: list[Json] = []
        sentry_sdk.init(
            dsn=backend.replace("://", "://key@") + "/1",
            traces_sample_rate=1.0,
            send_default_pii=True,
            auto_enabling_integrations=False,  # it would import every SDK and framework that is installed
            integrations=[OpenAIIntegration()],
            before_send_transaction=self.record,
            before_send=lambda event, hint: None,
        )

    def record(self, event: Any, hint: Any) -> None:
        self.recorded += [
            {name: span.get(name) for name in ("op", "description", "status", "data")} for span in event["spans"]
        ]

    def around(self) -> Any:
        import sentry_sdk

        return sentry_sdk.start_transaction(name="test")

    def spans(self) -> list[Json]:
        recorded, self.recorded = self.recorded, []
        return [span for span in recorded if "http" not in str(span["op"])]


class Datadog(Peer):
    def start(self, backend: str) -> None:
        os.environ.update(
            DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
            DD_REMOTE_CONFIGURATION_ENABLED="false",
            DD_TRACE_AGENT_URL=backend,
        )
        import ddtrace
        from ddtrace.trace import TraceFilter, tracer

        recorded: list[Json] = []
        self.recorded = recorded

        class Keep(TraceFilter):  # type: ignore[misc]
            def process_trace(self, trace: Any) -> None:
                recorded.extend(
                    {
                        "name": span.name,
                        "resource": span.resource,
                        "error": span.error,
                        "tags": dict(span.get_tags()),
                        "metrics": dict(span.get_metrics()),
                    }
                    for span in trace
                )

        tracer.configure(trace_processors=[Keep()])
        ddtrace.patch(openai=True)

    def spans(self) -> list[Json]:
        recorded = [span for span in self.recorded if span["name"].startswith("openai")]
        self.recorded.clear()
        return recorded


class LangSmith(Peer):
    def start(self, backend: str) -> None:
        os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="key", LANGSMITH_ENDPOINT=backend)
        import langsmith

        self.recorded: list[Json] = []
        recorded = self.recorded

        class Client(langsmith.Client):  # type: ignore[misc]
            def create_run(self, *args: Any, **run: Any) -> None:
                recorded.append(["create", run.get("name"), run.get("inputs"), run.get("outputs"), run.get("error")])

            def update_run(self, *args: Any, **run: Any) -> None:
                recorded.append(["update", run.get("outputs"), run.get("error"), run.get("extra")])

        self.langsmith = Client(api_url=backend, api_key="key", info={}, auto_batch_tracing=False)

    def client(self, kind: str, **options: Any) -> Any:
        from langsmith.wrappers import wrap_openai

        return wrap_openai(super().client(kind, **options), tracing_extra={"client": self.langsmith})

    def spans(self) -> list[Json]:
        recorded = list(self.recorded)
        self.recorded.clear()
        return recorded


class Braintrust(Peer):
    def start(self, backend: str) -> None:
        from braintrust import logger
        from braintrust.test_helpers import init_test_logger

        self.memory = logger._internal_with_memory_background_logger()
        self.log = self.memory.__enter__()
        init_test_logger("test")

    def client(self, kind: str, **options: Any) -> Any:
        from braintrust import wrap_openai

        return wrap_openai(super().client(kind, **options))

    def spans(self) -> list[Json]:
        return [
            {name: span.get(name) for name in ("span_attributes", "input", "output", "error", "metadata", "metrics")}
            for span in self.log.pop()
        ]


class PostHog(Peer):
    def start(self, backend: str) -> None:
        from posthog import Posthog

        self.recorded: list[Json] = []
        recorded = self.recorded

        class Client(Posthog):  # type: ignore[misc]
            def capture(self, event: str, **more: Any) -> None:
                recorded.append([event, more.get("properties")])

        self.posthog = Client("key", host=backend, disable_geoip=True, sync_mode=True)

    def client(self, kind: str, **options: Any) -> Any:
        return getattr(importlib.import_module("posthog.ai.openai"), kind)(posthog_client=self.posthog, **options)

    def spans(self) -> list[Json]:
        recorded = list(self.recorded)
        self.recorded.clear()
        return recorded


TOOLS: dict[str, type[Peer]] = {
    "nobody": Peer,
    "langfuse 2": Langfuse2,
    "langfuse 3": Langfuse,
    "langfuse 5": Langfuse,
    "sentry": Sentry,
    "opentelemetry": OpenTelemetry,
    "traceloop": Traceloop,
    "openinference": OpenInference,
    "ddtrace": Datadog,
    "logfire": Logfire,
    "langsmith": LangSmith,
    "braintrust": Braintrust,
    "posthog": PostHog,
}

logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
