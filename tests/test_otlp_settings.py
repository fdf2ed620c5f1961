"""Where an exporter that speaks OTLP sends: our settings, OpenTelemetry's variables, and those of backends."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.support import text_of
from zespan_serverless import ConfigurationError
from zespan_serverless.settings import Settings, check, resolve, usable
from zespan_serverless.settings._backends import BACKENDS
from zespan_serverless.settings._fields import OTLP_EXPORTERS
from zespan_serverless.settings._otlp import Target, target


def of(environ: dict[str, str], **settings: Any) -> Target:
    """Return the target of the exporter `otlp`, unless the settings name another one."""
    return target(Settings(**{"exporter": "otlp", **settings}), environ)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text_of(record.getMessage()) for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("environ", "settings", "url"),
    [
        ({}, {}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "http://c:4318"}, {}, "http://c:4318/v1/traces"),
        ({"ENDPOINT": "http://c:4318/base/"}, {}, "http://c:4318/base/v1/traces"),
        ({"ENDPOINT": "https://c/v1/traces"}, {}, "https://c/v1/traces"),
        ({"ENDPOINT": "http://c", "TRACES_ENDPOINT": "http://t/in"}, {}, "http://t/in"),
        ({"TRACES_ENDPOINT": "http://t/in"}, {"base_url": "http://b"}, "http://b/v1/traces"),
        ({}, {"base_url": "http://b/v1/traces"}, "http://b/v1/traces"),
    ],
)
def test_base_url_takes_precedence_over_variables(environ: dict[str, str], settings: dict[str, Any], url: str) -> None:
    """base_url over the variable for traces, which is taken as it is, over the one for everything."""
    found = of({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()}, **settings)
    assert (found.url, found.missing) == (url, "")


def test_collector_is_a_synonym() -> None:
    """With the same variables."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}
    assert of(environ, exporter="collector").url == of(environ).url


def test_headers_take_precedence_over_variables() -> None:
    """The setting over the variable for traces over the one for everything; values are decoded."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "A=1,b=two%20words, c=x=y",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=3,d=4",
    }
    found = of(environ, headers=check({"headers": {"D": "5"}})["headers"])
    assert found.headers == {"a": "1", "b": "3", "c": "x=y", "d": "5"}


def test_the_other_variables(tmp_path: Path) -> None:
    """Protocol, compression, certificate; those for traces come first."""
    file = tmp_path / "ca.pem"
    file.write_text("")
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(file),
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,service.name=theirs",
    }
    found = of(environ)
    assert (found.is_json, found.compresses, found.certificate) == (True, False, str(file))
    assert found.resource == {"team": "a b", "service.name": "theirs"}
    assert (of({}).is_json, of({}).compresses, of({}).certificate) == (False, True, None)


def test_the_name_of_the_service() -> None:
    """The setting over OTEL_SERVICE_NAME over OTEL_RESOURCE_ATTRIBUTES."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}
    assert of(environ).resource["service.name"] == "a"
    environ["OTEL_SERVICE_NAME"] = "b"
    assert of(environ).resource["service.name"] == "b"
    assert of(environ, service_name="c").resource["service.name"] == "c"


@pytest.mark.parametrize(
    ("text", "timeout"),
    [("500", 0.5), ("0.25", 0.25), ("10", 1.0), ("10000", 1.0), ("0", 1.0), ("", 1.0)],
)
def test_the_timeout_bounds_a_flush(text: str, timeout: float) -> None:
    """In milliseconds as specified; a small number is in seconds, as Python's SDK reads it."""
    environ = {"ZESPAN_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": text}
    assert resolve({}, environ).flush_timeout == timeout
    assert resolve({"flush_timeout": 3.0}, environ).flush_timeout == 3.0


WRONG = [
    ("PROTOCOL", "grpc", "='grpc' is not supported, http/protobuf is used: there are http/protobuf, http/json"),
    ("COMPRESSION", "zstd", "='zstd' is not supported, gzip is used: there are gzip, none"),
    ("CERTIFICATE", "/no/such", "='/no/such' is ignored: there is no such file"),
    ("TIMEOUT", "soon", "='soon' is ignored: use a number of milliseconds"),
    ("TIMEOUT", "nan", "='nan' is ignored: use a number of milliseconds"),
    ("HEADERS", "s3cret", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
    ("HEADERS", "a=s3cr\u00e9t", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
    ("HEADERS", "a%0d%0ab=s3cret", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
    ("HEADERS", "a=%0d%0as3cret", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
    ("HEADERS", "authorization: s3cret=", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
    ("HEADERS", "Content-Length=3", "a part of OTEL_EXPORTER_OTLP_HEADERS is ignored: use a=1,b=2"),
]


@pytest.mark.parametrize(("name", "text", "warning"), WRONG)
def test_a_mistake_in_a_variable_is_logged_once(
    name: str, text: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The default is used, and no secret is shown."""
    for _ in range(2):
        settings = resolve({}, {"ZESPAN_EXPORTER": "otlp", f"OTEL_EXPORTER_OTLP_{name}": text, "ZESPAN_ENABLED": "1"})
        assert settings.enabled
    expected = warning if name == "HEADERS" else f"OTEL_EXPORTER_OTLP_{name}{warning}"
    assert said(caplog) == [expected]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:4318", "must be like http://localhost:4318, not 'localhost:4318'"),
        ("http://", "must be like http://localhost:4318, not 'http:'"),
        ("http://c:port", "must be like http://localhost:4318, not 'http://c:port'"),
        ("http://c?key=s3cret", "must be like http://localhost:4318, not 'http://c?***'"),
        ("http://u:s3cret@c", "must not contain a user and password: put them into a header, not '***@c'"),
    ],
)
def test_an_address_that_cannot_be_used_switches_telemetry_off(
    url: str, problem: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry is off, because the default would send the events to the wrong backend."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    assert not usable(Settings(exporter="otlp"))
    assert said(caplog) == [f"telemetry is off: OTEL_EXPORTER_OTLP_ENDPOINT {problem} (or ZESPAN_ENABLED=0)"]


def test_otel_sdk_disabled(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It switches what speaks OTLP off; it is not the other exporters'."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    assert usable(Settings(exporter="otlp")) is None
    assert said(caplog) == ["telemetry is off: unset OTEL_SDK_DISABLED (or ZESPAN_ENABLED=0)"]
    assert usable(Settings(exporter=("console", "otlp"))) == Settings(exporter="console")
    assert said(caplog)[1:] == ["nothing is sent to otlp: unset OTEL_SDK_DISABLED (or ZESPAN_ENABLED=0)"]


def test_of_several_destinations_each_has_its_own_address_and_headers() -> None:
    """`base_url` is Zespan's, and no backend gets the headers that are meant for another one."""
    environ = {"LANGFUSE_PUBLIC_KEY": "k", "LANGFUSE_SECRET_KEY": "k"}
    settings = Settings(exporter=("zespan", "langfuse"), base_url="http://mine", headers={"a": "1"})
    found = target(settings.alone("langfuse"), environ)
    assert found.url == "https://cloud.langfuse.com/api/public/otel/v1/traces"
    assert found.headers["a"] == "1"
    assert settings.alone("zespan").base_url == "http://mine"
    settings = settings.replaced(exporter=("otlp", "langfuse"))
    for name, host in (("otlp", "http://localhost:4318"), ("langfuse", "https://cloud.langfuse.com")):
        found = target(settings.alone(name), environ)
        assert found.url.startswith(host)
        assert "a" not in found.headers


def test_tests_do_not_send_to_another_machine() -> None:
    """As with Zespan; a collector on this machine gets them."""
    environ = {"PYTEST_VERSION": "9", "ZESPAN_EXPORTER": "otlp"}
    assert resolve({}, environ).enabled
    assert not resolve({}, {**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}).enabled
    keys = {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_SECRET_KEY": "s"}
    assert not resolve({}, {**environ, **keys, "ZESPAN_EXPORTER": "langfuse"}).enabled


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a=1", "headers must be a mapping of strings, not a str"),
        (["a"], "headers must be a mapping of strings, not a list"),
        ({"a b": "1"}, "headers has a name that is not allowed in HTTP: use letters, digits and hyphens"),
        ({1: "1"}, "headers has a name that is not allowed in HTTP: use letters, digits and hyphens"),
        ({"a": 1}, "headers['a'] must be a string without line breaks, in ASCII"),
        ({"a": "1\nb: 2"}, "headers['a'] must be a string without line breaks, in ASCII"),
        ({"Content-Type": "x"}, "headers must not have 'Content-Type', which every request gets by itself"),
    ],
)
def test_wrong_headers_in_code_are_an_error(value: object, message: str) -> None:
    """While decorating, without a value, which may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        check({"headers": value})
    assert str(caught.value) == message


BASIC = "Basic " + base64.b64encode(b"user:password").decode()
PLACES: list[tuple[str, dict[str, str], str, dict[str, str]]] = [
    (
        "langfuse",
        {"LANGFUSE_PUBLIC_KEY": "user", "LANGFUSE_SECRET_KEY": "password"},
        "https://cloud.langfuse.com/api/public/otel/v1/traces",
        {"authorization": BASIC, "x-langfuse-ingestion-version": "4"},
    ),
    (
        "langfuse",
        {"LANGFUSE_PUBLIC_KEY": "user", "LANGFUSE_SECRET_KEY": "password", "LANGFUSE_HOST": "http://mine:3000/"},
        "http://mine:3000/api/public/otel/v1/traces",
        {"authorization": BASIC, "x-langfuse-ingestion-version": "4"},
    ),
    ("phoenix", {}, "http://localhost:6006/v1/traces", {}),
    (
        "phoenix",
        {"PHOENIX_COLLECTOR_ENDPOINT": "https://app.phoenix.arize.com/s/me", "PHOENIX_API_KEY": "k"},
        "https://app.phoenix.arize.com/s/me/v1/traces",
        {"authorization": "Bearer k"},
    ),
    (
        "phoenix",
        {"PHOENIX_CLIENT_HEADERS": "api_key=k,x=1"},
        "http://localhost:6006/v1/traces",
        {"api_key": "k", "x": "1"},
    ),
    (
        "datadog",
        {"DD_API_KEY": "k"},
        "https://otlp.datadoghq.com/v1/traces",
        {"dd-api-key": "k", "dd-otlp-source": "llmobs"},
    ),
    (
        "datadog",
        {"DD_API_KEY": "k", "DD_SITE": "datadoghq.eu"},
        "https://otlp.datadoghq.eu/v1/traces",
        {"dd-api-key": "k", "dd-otlp-source": "llmobs"},
    ),
    ("honeycomb", {"HONEYCOMB_API_KEY": "k"}, "https://api.honeycomb.io/v1/traces", {"x-honeycomb-team": "k"}),
    (
        "honeycomb",
        {"HONEYCOMB_API_KEY": "k", "HONEYCOMB_DATASET": "d", "HONEYCOMB_API_ENDPOINT": "https://api.eu1.honeycomb.io"},
        "https://api.eu1.honeycomb.io/v1/traces",
        {"x-honeycomb-team": "k", "x-honeycomb-dataset": "d"},
    ),
    ("logfire", {"LOGFIRE_TOKEN": "old"}, "https://logfire-us.pydantic.dev/v1/traces", {"authorization": "old"}),
    (
        "logfire",
        {"LOGFIRE_TOKEN": "pylf_v1_eu_abc"},
        "https://logfire-eu.pydantic.dev/v1/traces",
        {"authorization": "pylf_v1_eu_abc"},
    ),
    (
        "grafana",
        {
            "GRAFANA_CLOUD_OTLP_ENDPOINT": "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
            "GRAFANA_CLOUD_INSTANCE_ID": "user",
            "GRAFANA_CLOUD_API_KEY": "password",
        },
        "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
        {"authorization": BASIC},
    ),
    ("newrelic", {"NEW_RELIC_LICENSE_KEY": "k"}, "https://otlp.nr-data.net/v1/traces", {"api-key": "k"}),
    (
        "newrelic",
        {"NEW_RELIC_LICENSE_KEY": "eu01xxk"},
        "https://otlp.eu01.nr-data.net/v1/traces",
        {"api-key": "eu01xxk"},
    ),
    (
        "braintrust",
        {"BRAINTRUST_API_KEY": "k"},
        "https://api.braintrust.dev/otel/v1/traces",
        {"authorization": "Bearer k", "x-bt-parent": "project_name:default-otel-project"},
    ),
    (
        "braintrust",
        {"BRAINTRUST_API_KEY": "k", "BRAINTRUST_PARENT": "project_id:1", "BRAINTRUST_API_URL": "https://mine"},
        "https://mine/otel/v1/traces",
        {"authorization": "Bearer k", "x-bt-parent": "project_id:1"},
    ),
    (
        "langsmith",
        {"LANGSMITH_API_KEY": "k", "LANGSMITH_PROJECT": "p"},
        "https://api.smith.langchain.com/otel/v1/traces",
        {"x-api-key": "k", "langsmith-project": "p"},
    ),
    (
        "langsmith",
        {"LANGCHAIN_API_KEY": "k", "LANGSMITH_ENDPOINT": "https://eu.api.smith.langchain.com"},
        "https://eu.api.smith.langchain.com/otel/v1/traces",
        {"x-api-key": "k"},
    ),
    (
        "sentry",
        {"SENTRY_DSN": "https://k@o1.ingest.sentry.io/42"},
        "https://o1.ingest.sentry.io/api/42/integration/otlp/v1/traces",
        {"x-sentry-auth": "sentry sentry_key=k"},
    ),
]


@pytest.mark.parametrize(("name", "environ", "url", "headers"), PLACES)
def test_a_backend_by_its_name(name: str, environ: dict[str, str], url: str, headers: dict[str, str]) -> None:
    """Its address and key are those of its own variables; OpenTelemetry's may be another tool's."""
    others = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=other"}
    found = of({**environ, **others}, exporter=name, headers={"x-more": "1"})
    assert (found.url, found.headers, found.missing) == (url, {**headers, "x-more": "1"}, "")
    assert found.dialect == name


def test_every_backend_is_here() -> None:
    """A new one gets a row."""
    assert {name for name, *_ in PLACES} == set(BACKENDS)
    assert set(OTLP_EXPORTERS) == {*BACKENDS, "otlp", "collector"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("langfuse", "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"),
        ("datadog", "DD_API_KEY"),
        ("honeycomb", "HONEYCOMB_API_KEY"),
        ("logfire", "LOGFIRE_TOKEN"),
        ("grafana", "GRAFANA_CLOUD_OTLP_ENDPOINT and GRAFANA_CLOUD_INSTANCE_ID and GRAFANA_CLOUD_API_KEY"),
        ("newrelic", "NEW_RELIC_LICENSE_KEY"),
        ("braintrust", "BRAINTRUST_API_KEY"),
        ("langsmith", "LANGSMITH_API_KEY"),
        ("sentry", "SENTRY_DSN"),
    ],
)
def test_without_a_key_telemetry_is_off(
    name: str, keys: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says which variable to set."""
    for key in keys.split(" and "):
        monkeypatch.delenv(key, raising=False)
    assert not usable(Settings(exporter=name))
    assert said(caplog) == [f"telemetry is off: set {keys} (or ZESPAN_ENABLED=0)"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("datadog", "DD_API_KEY"),
        ("phoenix", "PHOENIX_API_KEY"),
        ("honeycomb", "HONEYCOMB_DATASET"),
        ("braintrust", "BRAINTRUST_PARENT"),
        ("langsmith", "LANGSMITH_PROJECT"),
    ],
)
def test_what_cannot_be_in_a_header(
    name: str, variable: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry is off, and the log says so once, instead of failing at each request."""
    for key in ("DD_API_KEY", "HONEYCOMB_API_KEY", "BRAINTRUST_API_KEY", "LANGSMITH_API_KEY"):
        monkeypatch.setenv(key, "key")
    monkeypatch.setenv(variable, "s\u00e9cret")
    assert not usable(Settings(exporter=name))
    assert said(caplog) == [f"telemetry is off: set {variable} to a text in ASCII (or ZESPAN_ENABLED=0)"]


@pytest.mark.parametrize(
    ("name", "environ", "told"),
    [
        ("phoenix", {"PHOENIX_COLLECTOR_ENDPOINT": "phoenix:6006"}, "PHOENIX_COLLECTOR_ENDPOINT must be like http"),
        ("langfuse", {"LANGFUSE_HOST": "cloud.langfuse.com"}, "LANGFUSE_HOST must be like http"),
        ("langsmith", {"LANGCHAIN_ENDPOINT": "eu"}, "LANGCHAIN_ENDPOINT must be like http"),
        ("grafana", {"GRAFANA_CLOUD_OTLP_ENDPOINT": "x.grafana.net"}, "GRAFANA_CLOUD_OTLP_ENDPOINT must be like http"),
        ("datadog", {"DD_SITE": "https://datadoghq.eu"}, "set DD_SITE to a host, such as datadoghq.eu"),
    ],
)
def test_a_wrong_address_of_a_backend(name: str, environ: dict[str, str], told: str) -> None:
    """The log names the variable that has it."""
    for variable in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGSMITH_API_KEY", "DD_API_KEY"):
        environ[variable] = "key"
    environ |= {"GRAFANA_CLOUD_INSTANCE_ID": "1", "GRAFANA_CLOUD_API_KEY": "key"}
    assert target(Settings(exporter=name), environ).missing.startswith(told)


def test_headers_of_phoenix_are_checked(caplog: pytest.LogCaptureFixture) -> None:
    """What HTTP does not allow is left out, without its value in the log."""
    environ = {"PHOENIX_CLIENT_HEADERS": "A=%0d%0as3cret,b=2,=s3cret,c d=s3cret"}
    assert target(Settings(exporter="phoenix"), environ).headers == {"b": "2"}
    assert said(caplog) == ["a part of PHOENIX_CLIENT_HEADERS is ignored: use a=1,b=2"]


def test_a_dsn_that_is_none(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not shown: it may have a key."""
    monkeypatch.setenv("SENTRY_DSN", "https://s3cret.example")
    assert not usable(Settings(exporter="sentry"))
    assert said(caplog) == ["telemetry is off: set SENTRY_DSN to a valid DSN (or ZESPAN_ENABLED=0)"]


@pytest.mark.parametrize(
    ("name", "environ", "resource"),
    [
        (
            "datadog",
            {"DD_SERVICE": "s", "DD_VERSION": "1", "DD_ENV": "e"},
            {"service.name": "s", "service.version": "1", "deployment.environment.name": "e"},
        ),
        ("phoenix", {"PHOENIX_PROJECT_NAME": "p"}, {"openinference.project.name": "p"}),
        ("langfuse", {"LANGFUSE_RELEASE": "1"}, {"service.version": "1"}),
        ("sentry", {"SENTRY_ENVIRONMENT": "e"}, {"deployment.environment.name": "e"}),
        ("newrelic", {"NEW_RELIC_APP_NAME": "s"}, {"service.name": "s"}),
    ],
)
def test_what_a_backends_variables_say_of_the_process(
    name: str, environ: dict[str, str], resource: dict[str, str]
) -> None:
    """Service, version, deployment, and project."""
    keys = {"DD_API_KEY": "k", "LANGFUSE_PUBLIC_KEY": "k", "LANGFUSE_SECRET_KEY": "k", "NEW_RELIC_LICENSE_KEY": "k"}
    found = of({**keys, "SENTRY_DSN": "https://k@h/1", **environ}, exporter=name)
    assert found.resource == resource


def test_base_url_is_one_of_your_own() -> None:
    """Of a backend that runs elsewhere than its vendor's; the path stays that of the backend."""
    keys = {"LANGFUSE_PUBLIC_KEY": "k", "LANGFUSE_SECRET_KEY": "k"}
    found = of(keys, exporter="langfuse", base_url="http://localhost:3000")
    assert found.url == "http://localhost:3000/api/public/otel/v1/traces"
