"""Every exporter passes the tests that users get for theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from tests.exporters.stores import aws
from zespan_serverless import testing
from zespan_serverless._base.exporter import Exporter
from zespan_serverless._process.container import build_exporter
from zespan_serverless.exporters.carbon import CarbonExporter
from zespan_serverless.exporters.console import ConsoleExporter
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.stores import StoreExporter, open_store
from zespan_serverless.exporters.zespan import ZespanExporter
from zespan_serverless.settings import Settings
from zespan_serverless.settings._fields import OTLP_EXPORTERS


class TestZespan(testing.HttpExporterContract):
    def make(self) -> ZespanExporter:
        return ZespanExporter(self.backend.url, self.KEY)


class TestZespanThroughHttpx(testing.HttpExporterContract):
    def make(self) -> ZespanExporter:
        return ZespanExporter(self.backend.url, self.KEY, http_client=httpx.Client)


class TestZespanThroughHttpx2(testing.HttpExporterContract):
    def make(self) -> ZespanExporter:
        return ZespanExporter(self.backend.url, self.KEY, http_client=lambda: httpx2.Client(follow_redirects=True))


class TestCarbon(testing.HttpExporterContract):
    def make(self) -> CarbonExporter:
        return CarbonExporter(self.KEY, base_url=self.backend.url)


class TestCarbonThroughHttpx(testing.HttpExporterContract):
    def make(self) -> CarbonExporter:
        return CarbonExporter(self.KEY, base_url=self.backend.url, http_client=httpx.Client)


class TestConsole(testing.ExporterContract):
    def make(self) -> ConsoleExporter:
        return ConsoleExporter()


class TestMemory(testing.ExporterContract):
    def make(self) -> MemoryExporter:
        return MemoryExporter()


class TestDirectory(testing.ExporterContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self._folder = tmp_path

    def make(self) -> StoreExporter:
        return StoreExporter(open_store(str(self._folder)), {"exporter": "zespan", "content_type": "application/json"})


class TestQueueInAws(testing.ExporterContract):
    @pytest.fixture(autouse=True)
    def queue(self, server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        aws.use(server, monkeypatch)
        client = aws.client("sqs", server)
        url = client.create_queue(QueueName="queue")["QueueUrl"]
        yield
        client.delete_queue(QueueUrl=url)

    def make(self) -> StoreExporter:
        return StoreExporter(open_store("sqs://queue"), {"exporter": "zespan", "content_type": "application/json"})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with aws.aws_server() as url:
        yield url


class TestOtlp(testing.HttpExporterContract):
    """The protocol has fewer statuses retried."""

    client: Any = None
    protocol = "http/json"

    @pytest.fixture(autouse=True)
    def _variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={self.KEY}")

    def make(self) -> Exporter:
        return build_exporter(Settings(exporter="otlp", base_url=self.backend.url, http_client=self.client))

    def make_backend(self) -> testing.Backend:
        return testing.Backend(decode=_spans)


class TestOtlpThroughHttpx(TestOtlp):
    client = httpx.Client


class TestOtlpInProtobuf(TestOtlp):
    protocol = "http/protobuf"


PRESETS = {
    "langfuse": {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "{key}"},
    "phoenix": {"PHOENIX_API_KEY": "{key}"},
    "datadog": {"DD_API_KEY": "{key}"},
    "honeycomb": {"HONEYCOMB_API_KEY": "{key}"},
    "logfire": {"LOGFIRE_TOKEN": "{key}"},
    "grafana": {
        "GRAFANA_CLOUD_OTLP_ENDPOINT": "https://otlp.example/otlp",
        "GRAFANA_CLOUD_INSTANCE_ID": "1",
        "GRAFANA_CLOUD_API_KEY": "{key}",
    },
    "newrelic": {"NEW_RELIC_LICENSE_KEY": "{key}"},
    "braintrust": {"BRAINTRUST_API_KEY": "{key}"},
    "langsmith": {"LANGSMITH_API_KEY": "{key}"},
    "sentry": {"SENTRY_DSN": "https://{key}@sentry.example/1"},
    "collector": {"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key={key}"},
}


@pytest.mark.parametrize("name", PRESETS)
class TestPreset(testing.HttpExporterContract):
    """What a backend's name changes: the attributes, the address and the key. The rest is that of `otlp`."""

    test_threads_may_encode_at_the_same_time = test_it_can_be_used_again_after_close = None  # type: ignore[assignment]
    test_cancel_without_a_send_changes_nothing = test_redirects_are_not_followed = None  # type: ignore[assignment]
    test_retry_after_is_passed_on = test_send_keeps_its_time = test_cancel_ends_a_send = None  # type: ignore[assignment]
    test_a_connection_that_was_closed_is_replaced = None  # type: ignore[assignment]
    test_events_wait_while_the_backend_fails = None  # type: ignore[assignment]
    test_a_forked_child_has_connections_of_its_own = None  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def _variables(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._name = name
        for variable, value in PRESETS[name].items():
            monkeypatch.setenv(variable, value.format(key=self.KEY))

    def make(self) -> Exporter:
        return build_exporter(Settings(exporter=self._name, base_url=self.backend.url))

    def make_backend(self) -> testing.Backend:
        return testing.Backend(decode=_spans)


def test_every_preset_is_tried() -> None:
    """A backend that gets a name is to pass the tests."""
    assert PRESETS.keys() == {*OTLP_EXPORTERS} - {"otlp"}


def _spans(body: bytes) -> list[dict[str, Any]]:
    """Return the spans of a request, in JSON or in protobuf; of these only the text is told."""
    if not body.startswith(b"{"):
        spans = [span for one in _of(body, 1) for scope in _of(one, 2) for span in _of(scope, 2)]
        return [{"span": span.decode("latin-1")} for span in spans]
    return [
        span
        for of_resource in json.loads(body)["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]


def _of(message: bytes, number: int) -> list[bytes]:
    """Return the values of a repeated field of a message in protobuf, all of whose fields have a length."""
    found, at = [], 0
    while at < len(message):
        tag, size, shift = message[at], 0, 0
        while True:
            at += 1
            size, shift = size | (message[at] & 127) << shift, shift + 7
            if message[at] < 128:
                break
        if tag >> 3 == number:
            found.append(message[at + 1 : at + 1 + size])
        at += 1 + size
    return found
