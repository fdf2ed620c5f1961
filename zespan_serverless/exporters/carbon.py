"""Carbon's ingest API: JSON to {base_url}/v1/ingest-events, see https://docs.oncarbon.site/api-reference."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from .._record.values import encode
from ._carbon import carbon_event_of
from .http import HttpExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._base.http_client import HttpClient
    from .._record.record import Record
    from ..settings import Settings


class CarbonExporter(HttpExporter):
    """Sends to Carbon. The key is `api_key`, or read from AWS (`api_key_secret`), or from CARBON_API_KEY."""

    PATH: ClassVar[str] = "/v1/ingest-events"
    VARIABLE: ClassVar[str] = "CARBON_API_KEY"

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str = "https://ingest.oncarbon.site",
        api_key_secret: str | None = None,
        http_client: HttpClient | Callable[[], HttpClient] | None = None,
    ) -> None:
        if not api_key and not api_key_secret:
            api_key = os.environ.get(self.VARIABLE, "").strip() or None
        super().__init__(base_url, api_key, api_key_secret, http_client)

    def encode(self, record: Record) -> bytes:
        return encode(carbon_event_of(record))

    def body_of(self, batch: Sequence[bytes]) -> bytes:
        return b'{"events":[%b]}' % b",".join(batch)

    def headers_for(self, key: str | None) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        return {**headers, "authorization": f"Bearer {key}"} if key else headers


def build(settings: Settings) -> CarbonExporter:
    """Build the exporter, with the key from the environment."""
    from ..settings import _carbon

    target = _carbon.target(settings)
    return CarbonExporter(target.key, base_url=target.url, http_client=settings.http_client)
