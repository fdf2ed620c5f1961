"""Other telemetry SDKs as their guides set them up: how each is started, used and flushed. Runs in its environment.

As the module of a Lambda function, `handler` uses the SDK that the environment names, and has it flushed as the SDK's
guide says, or by the setting `flush`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
import time
from typing import Any

from zespan_serverless import zespan_lambda
from zespan_serverless.types import FlushReport


class Sdk:
    """One SDK. `entry` is what the setting `flush` gets."""

    environment = "peers", ""
    call = "flush()"
    """What its guide says to call at the end of a function."""
    entry: Any = None

    def start(self, url: str) -> None:
        """Configure it to send to this address."""
        raise NotImplementedError

    def work(self) -> None:
        """Record something."""
        raise NotImplementedError

    def flush(self) -> None:
        self.client.flush()

    client: Any = None


class OpenTelemetry(Sdk):
    environment = "peers", "langfuse 5"  # which needs OpenTelemetry's exporter
    call = "force_flush(500)"
    entry = "opentelemetry"

    def start(self, url: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self.client = TracerProvider()
        self.client.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
        trace.set_tracer_provider(self.client)

    def work(self) -> None:
        self.client.get_tracer("test").start_span("work").end()

    def flush(self) -> None:
        self.client.force_flush(500)


class Langfuse(Sdk):
    environment = "peers", "langfuse 5"
    entry = "langfuse"

    def start(self, url: str) -> None:
        self.client = importlib.import_module("langfuse").Langfuse(public_key="pk", secret_key="sk", host=url)

    def work(self) -> None:
        self.client.start_observation(name="work").end()


class Langfuse3(Langfuse):
    environment = "peers", "langfuse 3"

    def work(self) -> None:
        self.client.start_span(name="work").end()


class Langfuse2(Langfuse):
    environment = "peers", "langfuse 2"

    def start(self, url: str) -> None:
        super().start(url)
        self.entry = self.client

    def work(self) -> None:
        self.client.trace(name="work")


class Logfire(Sdk):
    environment = "peers", "logfire"
    call = "force_flush()"
    entry = "logfire"

    def start(self, url: str) -> None:
        import logfire

        advanced = logfire.AdvancedOptions(base_url=url)
        logfire.configure(
            token="pylf_v1_us_token", send_to_logfire=True, console=False, inspect_arguments=False, advanced=advanced
        )

    def work(self) -> None:
        importlib.import_module("logfire").info("work")

    def flush(self) -> None:
        importlib.import_module("logfire").force_flush()


class Sentry(Sdk):
    environment = "peers", "sentry"
    entry = "sentry"

    def start(self, url: str) -> None:
        self.client = importlib.import_module("sentry_sdk")
        self.client.init(dsn=url.replace("://", "://key@") + "/1", auto_enabling_integrations=False)

    def work(self) -> None:
        self.client.capture_message("work")


class Braintrust(Sdk):
    environment = "peers", "braintrust"
    entry = "braintrust"

    def start(self, url: str) -> None:
        os.environ.update(BRAINTRUST_API_URL=url, BRAINTRUST_APP_URL=url)
        braintrust = importlib.import_module("braintrust")
        self.client = braintrust.init_logger(project_id="p", api_key="key", app_url=url)

    def work(self) -> None:
        self.client.log(input="work", output="done")


class LangSmith(Sdk):
    environment = "peers", "langsmith"

    def start(self, url: str) -> None:
        self.client = self.entry = importlib.import_module("langsmith").Client(api_url=url, api_key="key")

    def work(self) -> None:
        self.client.create_run("work", {"a": 1}, "chain", trace_id=(run := _uuid()), id=run, dotted_order=_order(run))


class PostHog(Sdk):
    environment = "peers", "posthog"

    def start(self, url: str) -> None:
        self.client = self.entry = importlib.import_module("posthog").Posthog("key", host=url)

    def work(self) -> None:
        self.client.capture("work", distinct_id="1")


class Datadog(Sdk):
    environment = "peers", "ddtrace"
    entry = "ddtrace"

    def start(self, url: str) -> None:
        os.environ.update(
            DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
            DD_REMOTE_CONFIGURATION_ENABLED="false",
            DD_TRACE_AGENT_URL=url,
        )
        os.environ.pop("AWS_LAMBDA_FUNCTION_NAME", None)  # else it looks for Datadog's own extension
        self.client = importlib.import_module("ddtrace.trace").tracer

    def work(self) -> None:
        self.client.trace("work").finish()


class Agents(Sdk):
    environment = "frameworks", "agents"
    call = "flush_traces()"
    entry = "agents"

    def start(self, url: str) -> None:
        self.client = importlib.import_module("agents.tracing")
        processors = importlib.import_module("agents.tracing.processors")
        exporter = processors.BackendSpanExporter(api_key="key", endpoint=f"{url}/traces")
        self.client.set_trace_processors([processors.BatchTraceProcessor(exporter)])

    def work(self) -> None:
        with self.client.trace("work"):
            pass

    def flush(self) -> None:
        self.client.flush_traces()


FLUSHED: dict[str, type[Sdk]] = {
    "OpenTelemetry": OpenTelemetry,
    "Langfuse 5": Langfuse,
    "Langfuse 3": Langfuse3,
    "Langfuse 2": Langfuse2,
    "Logfire": Logfire,
    "Sentry": Sentry,
    "Braintrust": Braintrust,
    "LangSmith": LangSmith,
    "PostHog": PostHog,
    "Datadog": Datadog,
    "OpenAI Agents": Agents,
}


def _uuid() -> Any:
    return importlib.import_module("uuid").uuid4()


def _order(run: Any) -> str:
    return time.strftime("%Y%m%dT%H%M%S000000Z", time.gmtime()) + str(run)


def function(sdk: Sdk, *, flushes: bool) -> Any:
    """Return a handler that does its work when `left` seconds are left, if the event says so; nothing with `idle`."""

    def work(event: dict[str, Any], context: Any) -> dict[str, Any]:
        left = event.get("left")
        if left is not None:
            time.sleep(max(context.get_remaining_time_in_millis() / 1000 - left, 0))
        if not event.get("idle"):
            sdk.work()
            if flushes:
                sdk.flush()
        return {"ok": True}

    return work


def told(report: FlushReport) -> None:
    """What became of the flush, in the log."""
    found = [[one.name, one.outcome, one.seconds] for one in report.others]
    sys.stdout.write(f"OTHERS {json.dumps(found)}\n")
    sys.stdout.flush()


if "FLUSHED_SDK" in os.environ:  # this is the module of a function
    logging.disable(logging.ERROR)
    SDK = FLUSHED[os.environ["FLUSHED_SDK"]]()
    SDK.start(os.environ["FLUSHED_URL"])
    handler = function(SDK, flushes=os.environ["FLUSHED_BY"] == "itself")
    if os.environ["FLUSHED_BY"] == "us":
        handler = zespan_lambda(flush=[SDK.entry], on_flush=told)(handler)
    with contextlib.suppress(KeyError):
        del os.environ["FLUSHED_SDK"]
