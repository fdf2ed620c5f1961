"""What is compared: a function without telemetry, a lower bound, this package, and other SDKs as their guides say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OPENAI = "openai==3.54.0"
RUNTIME = "awslambdaric==4.2.2"


@dataclass(frozen=True)
class Subject:
    """One way to trace the function."""

    label: str
    module: str  # in `functions/`, with the function `handler`
    requirements: tuple[str, ...] = ()  # beside openai
    has_package: bool = False  # this package, from this checkout
    environment: Mapping[str, str] = field(default_factory=dict)  # {backend} is replaced by the backend's URL
    is_web: bool = False  # there is an application of it in `web_app.py`


BARE, FLOOR = "bare", "floor"
_PACKAGE = {"ZESPAN_API_KEY": "zsp_bench", "ZESPAN_BASE_URL": "{backend}"}
_OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{backend}"}
_SDK = ("zespan==1.6.1",)

SUBJECTS = {
    BARE: Subject("no telemetry", "with_nothing", is_web=True),
    FLOOR: Subject("one request, written by hand", "with_one_post"),
    "package": Subject("zespan_serverless", "with_package", has_package=True, environment=_PACKAGE, is_web=True),
    "before": Subject(
        "zespan_serverless, before the return",
        "with_package",
        has_package=True,
        environment={**_PACKAGE, "ZESPAN_FLUSH_MODE": "before_return"},
    ),
    "sdk": Subject("zespan SDK, its timer", "with_sdk", _SDK, is_web=True),
    "flush": Subject("zespan SDK, flush()", "with_sdk_flush", _SDK),
    "langfuse": Subject(
        "Langfuse",
        "with_langfuse",
        ("langfuse==5.0.4",),
        environment={
            "LANGFUSE_PUBLIC_KEY": "pk-lf-bench",
            "LANGFUSE_SECRET_KEY": "sk-lf-bench",
            "LANGFUSE_HOST": "{backend}",
            "LANGFUSE_BASE_URL": "{backend}",
        },
        is_web=True,
    ),
    "opentelemetry": Subject(
        "OpenTelemetry",
        "with_opentelemetry",
        (
            "opentelemetry-sdk==1.45.1",
            "opentelemetry-exporter-otlp-proto-http==1.45.1",
            "opentelemetry-instrumentation-aws-lambda==0.66b1",
            "opentelemetry-instrumentation-asgi==0.66b1",
            "opentelemetry-instrumentation-wsgi==0.66b1",
            "opentelemetry-instrumentation-openai-v2==2.4b0",
            "opentelemetry-util-genai==1.1b0",  # the last one with a module that openai-v2 imports
            "httpx",  # openai-v2 imports it, and openai 3 does not depend on it
        ),
        environment={
            **_OTLP,
            "OTEL_SERVICE_NAME": "f",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        },
        is_web=True,
    ),
    "sentry": Subject("Sentry", "with_sentry", ("sentry-sdk==2.75.0",)),
    "logfire": Subject("Logfire", "with_logfire", ("logfire[aws-lambda]==5.2.0",), environment=_OTLP),
    "datadog": Subject(
        "Datadog",
        "with_datadog",
        ("datadog-lambda==8.130.0",),
        environment={
            "DD_FLUSH_TO_LOG": "true",
            "DD_SERVICE": "f",
            "DD_API_KEY": "0123456789abcdef0123456789abcdef",
            "DD_SITE": "datadoghq.com",
            "DD_LLMOBS_ENABLED": "true",
            "DD_LLMOBS_ML_APP": "f",
            "DD_LLMOBS_AGENTLESS_ENABLED": "true",
            "DD_LLMOBS_OVERRIDE_ORIGIN": "{backend}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        },
    ),
}
"""Name -> subject, in the order of the tables. Each is compared with the first."""

CLOSEST = (BARE, "package", "flush", "langfuse", "opentelemetry")
"""Those that the longer parts compare: where one vendor stands for its kind."""
