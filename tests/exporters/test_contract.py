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
    """In JSON, which the test can read. The protocol has fewer statuses retried."""

    client: Any = None

    @pytest.fixture(autouse=True)
    def _json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={self.KEY}")

    def make(self) -> Exporter:
        return build_exporter(Settings(exporter="otlp", base_url=self.backend.url, http_client=self.client))

    def make_backend(self) -> testing.Backend:
        return testing.Backend(decode=_spans)


class TestOtlpThroughHttpx(TestOtlp):
    client = httpx.Client


def _spans(body: bytes) -> list[dict[str, Any]]:
    return [
        span
        for of_resource in json.loads(body)["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]
