"""Backends that accept OTLP, by name: their addresses and environment variables. One function for each."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._base.guard import pass_on
from ._headers import pairs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Read:
    """Reads a backend's variables. `needed` are those that contain its key, `missing` those that have to be set.

    `address`: the source of the address, for the log.
    """

    def __init__(self, environ: Mapping[str, str], address: str) -> None:
        self._environ, self.address = environ, address
        self.needed: list[str] = []
        self.missing: list[str] = []

    def first(self, *names: str, otherwise: str = "") -> str:
        """Return the first of these variables that is set."""
        found = (self._environ.get(name, "").strip() for name in names)
        return next((text for text in found if text), otherwise)

    def base(self, *names: str, otherwise: str) -> str:
        """Return the first address in these variables."""
        self.address = next((name for name in names if self.first(name)), self.address)
        return self.first(*names, otherwise=otherwise)

    def need(self, *names: str) -> str:
        """Return the first of these variables, one of which is required; the first is the documented one."""
        self.needed.append(names[0])
        text = self.header(*names)
        if not text:
            self.missing.append(names[0])
        return text

    def header(self, *names: str, otherwise: str = "") -> str:
        """Return the first of these variables for a header, which must be ASCII."""
        text = self.first(*names, otherwise=otherwise)
        if not (text.isascii() and text.isprintable()):
            self.missing.append(f"{names[0]} to a text in ASCII")
        return text


class Place:
    """An address, whose `base` is replaced by `base_url`, its headers, and attributes of the resource."""

    def __init__(self, base: str, path: str, headers: dict[str, str], **resource: str) -> None:
        self.base, self.path = base.rstrip("/"), path
        self.headers = {name: value for name, value in headers.items() if value}
        self.resource = {name.replace("_", "."): value for name, value in resource.items() if value}


def _langfuse(read: Read) -> Place:
    """https://langfuse.com/integrations/native/opentelemetry."""
    keys = read.need("LANGFUSE_PUBLIC_KEY"), read.need("LANGFUSE_SECRET_KEY")
    base = read.base("LANGFUSE_BASE_URL", "LANGFUSE_HOST", otherwise="https://cloud.langfuse.com")
    headers = {"authorization": _basic(*keys), "x-langfuse-ingestion-version": "4"}
    version, environment = read.first("LANGFUSE_RELEASE"), read.first("LANGFUSE_TRACING_ENVIRONMENT")
    path = "/api/public/otel/v1/traces"
    return Place(base, path, headers, service_version=version, deployment_environment_name=environment)


def _phoenix(read: Read) -> Place:
    """https://arize.com/docs/phoenix/sdk-api-reference/python-packages/arize-phoenix-otel. Self-hosted: no key."""
    base = read.base("PHOENIX_COLLECTOR_ENDPOINT", otherwise="http://localhost:6006")
    key, variable = read.header("PHOENIX_API_KEY"), "PHOENIX_CLIENT_HEADERS"
    headers = {"authorization": f"Bearer {key}" if key else ""}
    headers |= pairs_of(read.first(variable), variable, are_headers=True)
    project = read.first("PHOENIX_PROJECT", "PHOENIX_PROJECT_NAME")
    return Place(base, "/v1/traces", headers, openinference_project_name=project)


def _datadog(read: Read) -> Place:
    """https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation, without an agent."""
    headers = {"dd-api-key": read.need("DD_API_KEY"), "dd-otlp-source": "llmobs"}
    site = read.first("DD_SITE", otherwise="datadoghq.com")
    if "/" in site:
        read.missing.append("DD_SITE to a host, such as datadoghq.eu")
    return Place(
        f"https://otlp.{site}",
        "/v1/traces",
        headers,
        service_name=read.first("DD_LLMOBS_ML_APP", "DD_SERVICE"),
        service_version=read.first("DD_VERSION"),
        deployment_environment_name=read.first("DD_ENV"),
    )


def _honeycomb(read: Read) -> Place:
    """https://docs.honeycomb.io/send-data/opentelemetry/."""
    headers = {
        "x-honeycomb-team": read.need("HONEYCOMB_API_KEY"),
        "x-honeycomb-dataset": read.header("HONEYCOMB_DATASET"),  # for keys of Honeycomb Classic
    }
    base = read.base("HONEYCOMB_API_ENDPOINT", otherwise="https://api.honeycomb.io")
    return Place(base, "/v1/traces", headers)


def _logfire(read: Read) -> Place:
    """https://logfire.pydantic.dev/docs/how-to-guides/alternative-clients/. A token contains its region."""
    token = read.need("LOGFIRE_TOKEN")
    region = "eu" if token.startswith("pylf_v") and token.partition("_v")[2].partition("_")[2][:3] == "eu_" else "us"
    base = read.base("LOGFIRE_BASE_URL", otherwise=f"https://logfire-{region}.pydantic.dev")
    return Place(
        base,
        "/v1/traces",
        {"authorization": token},
        service_name=read.first("LOGFIRE_SERVICE_NAME"),
        service_version=read.first("LOGFIRE_SERVICE_VERSION"),
        deployment_environment_name=read.first("LOGFIRE_ENVIRONMENT"),
    )


def _grafana(read: Read) -> Place:
    """https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/. The address is the stack's own."""
    base, read.address = read.need("GRAFANA_CLOUD_OTLP_ENDPOINT"), "GRAFANA_CLOUD_OTLP_ENDPOINT"
    keys = read.need("GRAFANA_CLOUD_INSTANCE_ID"), read.need("GRAFANA_CLOUD_API_KEY", "GRAFANA_CLOUD_API_TOKEN")
    base = base.rstrip("/").removesuffix("/v1/traces")
    return Place(base if base.endswith("/otlp") else f"{base}/otlp", "/v1/traces", {"authorization": _basic(*keys)})


def _newrelic(read: Read) -> Place:
    """https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/. EU keys are recognizable."""
    key = read.need("NEW_RELIC_LICENSE_KEY")
    host = "otlp.eu01.nr-data.net" if key.startswith("eu01xx") else "otlp.nr-data.net"
    return Place(f"https://{host}", "/v1/traces", {"api-key": key}, service_name=read.first("NEW_RELIC_APP_NAME"))


def _braintrust(read: Read) -> Place:
    """https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry. The project is that of its SDK."""
    headers = {
        "authorization": f"Bearer {read.need('BRAINTRUST_API_KEY')}",
        "x-bt-parent": read.header("BRAINTRUST_PARENT", otherwise="project_name:default-otel-project"),
    }
    base = read.base("BRAINTRUST_API_URL", otherwise="https://api.braintrust.dev")
    return Place(base, "/otel/v1/traces", headers)


def _langsmith(read: Read) -> Place:
    """https://docs.langchain.com/langsmith/trace-with-opentelemetry."""
    headers = {
        "x-api-key": read.need("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"),
        "langsmith-project": read.header("LANGSMITH_PROJECT", "LANGCHAIN_PROJECT"),
    }
    base = read.base("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT", otherwise="https://api.smith.langchain.com")
    return Place(base, "/otel/v1/traces", headers)


def _sentry(read: Read) -> Place:
    """https://docs.sentry.io/concepts/otlp/. Address and key are those of the DSN."""
    dsn = read.need("SENTRY_DSN")
    try:
        parts = urlsplit(dsn)
        path, _, project = parts.path.rpartition("/")
        host, key = parts.netloc.rpartition("@")[2], parts.username or ""
    except ValueError as error:
        pass_on(error)
        path = project = host = key = ""
    if dsn and not (project and host and key):
        read.missing.append("SENTRY_DSN to a valid DSN")
    base = f"{dsn.partition(':')[0]}://{host}{path}/api/{project}/integration/otlp"
    headers = {"x-sentry-auth": f"sentry sentry_key={key}"}
    version, environment = read.first("SENTRY_RELEASE"), read.first("SENTRY_ENVIRONMENT")
    return Place(base, "/v1/traces", headers, service_version=version, deployment_environment_name=environment)


def _basic(user: str, password: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


BACKENDS: dict[str, Callable[[Read], Place]] = {
    "langfuse": _langfuse,
    "phoenix": _phoenix,
    "datadog": _datadog,
    "honeycomb": _honeycomb,
    "logfire": _logfire,
    "grafana": _grafana,
    "newrelic": _newrelic,
    "braintrust": _braintrust,
    "langsmith": _langsmith,
    "sentry": _sentry,
}
"""By the value of the setting `exporter`. `otlp` and `collector` are not here: they use OpenTelemetry's variables."""
