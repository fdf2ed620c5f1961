"""Zespan's ingest API: gzipped NDJSON to {base_url}/v1/ingest, as the SDK sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._http.transport import gzipped
from .http import HttpExporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings


class ZespanExporter(HttpExporter):
    """Sends to Zespan, or to a backend that accepts the same requests."""

    PATH: ClassVar[str] = "/v1/ingest"
    VARIABLE: ClassVar[str] = "ZESPAN_API_KEY"

    def body_of(self, batch: Sequence[bytes]) -> bytes:
        return gzipped(b"\n".join(batch))

    def headers_for(self, key: str | None) -> dict[str, str]:
        headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
        return {**headers, "x-api-key": key} if key else headers


def build(settings: Settings) -> ZespanExporter:
    """Build the exporter."""
    return ZespanExporter(settings.base_url, settings.api_key, settings.api_key_secret, settings.http_client)
