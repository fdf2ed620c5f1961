"""Every exporter passes the tests that users get for theirs."""

from __future__ import annotations

import httpx
import httpx2

from zespan_serverless import testing
from zespan_serverless.exporters.carbon import CarbonExporter
from zespan_serverless.exporters.console import ConsoleExporter
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.zespan import ZespanExporter


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
