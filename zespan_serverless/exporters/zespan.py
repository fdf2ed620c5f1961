"""Zespan's ingest API: gzipped NDJSON to {base_url}/v1/ingest, as the SDK sends it."""

from __future__ import annotations

import os
import time
import zlib
from typing import TYPE_CHECKING

from .._base.reports import Outcome
from .._http.transport import Transport, retry_after
from . import Exporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._http.answer import Answer
    from .._platforms.secrets import Secret
    from ..settings import Settings

_KEY_LENGTH = 16  # characters: the last four of a key that is at least so long may be shown
_UNAUTHORIZED = (401, 403)
_REFUSED = (400, 413, 422)
# Every other status but 2xx is retried: 408, 409, 425, 429 and 5xx by their meaning; a redirect, a 404 or a login page
# because it may come from a proxy, or from a deployment in progress. The buffer's bounds end what stays so.


class ZespanExporter(Exporter):
    """Sends to one base_url with one key, over one kept-alive connection."""

    def __init__(self, base_url: str, api_key: str | None, api_key_secret: str | None = None) -> None:
        self._transport = Transport(base_url)
        self._key = api_key
        self._secret: Secret | None = None
        self._source = api_key_secret
        if api_key_secret and not api_key:
            from .._platforms.secrets import Secret

            self._secret = Secret(api_key_secret)

    def prepare(self, timeout: float) -> None:
        if self._secret is not None:
            self._secret.begin()
        self._transport.connect(timeout)

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout  # before compressing, which takes its share of the time
        body = zlib.compress(b"\n".join(batch), level=1, wbits=31)  # 31: with gzip's header
        status, headers, answer = self._post(body, deadline)
        detail = f"HTTP {status}"
        if 200 <= status < 300:
            if answer.lstrip().startswith(b"<"):
                return Outcome("retry", f"{detail} with a page in HTML, which no ingest answers")
            return Outcome("delivered")
        if status in _UNAUTHORIZED:
            return Outcome("unauthorized", f"{detail} from {self.destination} {self._hint()}")
        if status in _REFUSED:
            return Outcome("refused", f"{detail} from {self.destination}")
        return Outcome("retry", detail, retry_after(headers.get("retry-after")))

    def cancel(self) -> None:
        if self._secret is not None:
            self._secret.cancel()
        self._transport.cancel()

    def close(self) -> None:
        if self._secret is not None:
            self._secret.forget()
        self._transport.close()

    @property
    def destination(self) -> str:  # type: ignore[override]  # depends on the proxy in force
        """Scheme and host that events go to, and the proxy that they go through, if any; for the log."""
        return self._transport.destination

    def _hint(self) -> str:
        """Say which key was refused, where it is from, and what to do. Shows at most four characters of a long key."""
        if self._secret is not None:
            return f"for the key from {self._source}: put a valid one there"
        if not self._key:
            return "for want of a key: set ZESPAN_API_KEY"
        which = f"ending in {self._key[-4:]}" if len(self._key) >= _KEY_LENGTH else "given"
        if os.environ.get("ZESPAN_API_KEY", "").strip() == self._key:
            return f"for the key {which}: set ZESPAN_API_KEY to a valid one"
        return f"for the key {which}: pass a valid one as api_key, or set ZESPAN_API_KEY instead"

    def _post(self, body: bytes, deadline: float) -> Answer:
        """Send one request, and a second one if the key is refused and a newer one exists."""
        secret = self._secret
        key = self._key if secret is None else secret.get(deadline - time.monotonic())
        answer = self._post_with(key, body, deadline)
        if secret is not None and key and answer.status in _UNAUTHORIZED:
            newer = secret.renew(key, deadline - time.monotonic())
            if newer:
                answer = self._post_with(newer, body, deadline)
        return answer

    def _post_with(self, key: str | None, body: bytes, deadline: float) -> Answer:
        headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
        if key:
            headers["x-api-key"] = key
        return self._transport.post("/v1/ingest", body, headers, deadline - time.monotonic())


def build(settings: Settings) -> ZespanExporter:
    """The exporter of this name."""
    return ZespanExporter(settings.base_url, settings.api_key, settings.api_key_secret)
