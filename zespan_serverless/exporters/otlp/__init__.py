"""OTLP over HTTP: OpenTelemetry's protocol for traces, which most backends accept.

A record's span is made once and is the same for all backends, except for a few names (`_dialects`). A batch is one
request, with this process as the resource.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..._base.reports import Outcome
from ..._http.transport import gzipped, retry_after, transport_to
from ..._record.record import Resource
from .. import Exporter
from ._attributes import flattened
from ._records import span_of
from ._resource import attributes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..._http.answer import Answer
    from ..._record.record import Record
    from ...settings import Settings
    from ...settings._otlp import Target

_UNAUTHORIZED = (401, 403)
_TOO_MUCH = (400, 413, 422)  # one event in the batch may be the cause, or there are too many
# Transient, whatever is in the batch; the last four are in OTLP's specification.
_PASSING = (408, 425, 429, 502, 503, 504)
# OTLP forbids sending a batch again after any other 4xx or 5xx, so that a batch at which the backend fails is not
# repeated for ever. But a backend also returns 500 while it restarts, and a collector while its queue is full. So a
# batch is sent again after a 500, with a limit: it is divided, and an event that fails alone while others pass is
# dropped. A redirect, which may come from a proxy, counts as transient.
_SCOPE = "zespan_serverless"


class OtlpExporter(Exporter):
    """Sends spans to one endpoint, over one kept-alive connection."""

    def __init__(self, target: Target, settings: Settings) -> None:
        if target.is_json:
            from . import _json as encoding
        else:
            from . import _protobuf as encoding  # type: ignore[no-redef]
        self._encoding: Any = encoding
        self._target = target
        self._dialect: Any = None
        if target.dialect:
            from ._dialects import DIALECTS

            self._dialect = DIALECTS.get(target.dialect)
        reads = ("html", "json", "protobuf")
        self._transport = transport_to(target.url, settings.http_client, certificate=target.certificate, reads=reads)
        self._resource = Resource(settings)
        self.content_type = encoding.CONTENT_TYPE
        """Format of the events, in which they also have to be sent later."""
        self.resource: Mapping[str, Any] | None = None
        """Attributes of the process that the next batches come from, if it is another one."""
        self._headers = {**target.headers, "content-type": self.content_type}
        if target.compresses:
            self._headers["content-encoding"] = "gzip"
        self.account: tuple[str, str] = target.account
        """The destination and the account: a journal of another process is taken over if both are the same."""

    def encode(self, record: Record) -> bytes:
        if record.resource.attributes:  # a dead process's journal has fewer of them
            self._resource = record.resource
        span = span_of(record)
        if self._dialect is not None:
            self._dialect(span, span.attributes)
        return self._encoding.encode(span)  # type: ignore[no-any-return]

    def prepare(self, timeout: float) -> None:
        self._transport.connect(timeout)

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout  # before compressing, whose time counts
        body = self._body_of(batch)
        return self._outcome(self._transport.post("", body, self._headers, deadline - time.monotonic()), len(batch))

    async def send_async(self, batch: Sequence[bytes], timeout: float) -> Outcome:  # noqa: ASYNC109
        """Do the same as `send` in an event loop, on a platform without threads and sockets."""
        transport: Any = self._transport
        return self._outcome(await transport.post_async("", self._body_of(batch), self._headers, timeout), len(batch))

    def _body_of(self, batch: Sequence[bytes]) -> bytes:
        resource = flattened(self.resource) if self.resource else self.context()["resource"]
        body = self._encoding.wrap(batch, resource, (_SCOPE, self._resource.sdk_version))
        if self._target.compresses:
            body = gzipped(body)
        return body  # type: ignore[no-any-return]

    def _outcome(self, answer: Answer, count: int) -> Outcome:
        status, detail = answer.status, f"HTTP {answer.status}"
        if 200 <= status < 300:
            if answer.body.lstrip().startswith(b"<"):
                return Outcome("retry", f"{detail} with a page in HTML, which no OTLP endpoint answers")
            return self._accepted(answer.body, count)
        if status in _UNAUTHORIZED:
            return Outcome("unauthorized", f"{detail} from {self.destination}: {self._target.hint}")
        if status in _TOO_MUCH:
            return Outcome("refused", f"{detail} from {self.destination}")
        if 400 <= status < 500 and status not in _PASSING:
            detail = f"{detail} from {self._target.url}, which no batch will pass: check the address"
            return Outcome("delivered", detail, rejected=count)
        suspect = status >= 500 and status not in _PASSING
        return Outcome("retry", detail, retry_after(answer.headers.get("retry-after")), suspect=suspect)

    def context(self) -> dict[str, Any]:
        """Return what is stored with events that another process will send."""
        return {"resource": attributes_of(self._resource, self._target.resource)}

    def cancel(self) -> None:
        self._transport.cancel()

    def close(self) -> None:
        self._transport.close()

    @property
    def destination(self) -> str:  # type: ignore[override]  # depends on the proxy in force
        """Return the destination's scheme and host, and the proxy, if any, for the log."""
        return self._transport.destination

    def _accepted(self, body: bytes, count: int) -> Outcome:
        """Return the outcome of an accepted request, which may have rejected spans: it is never sent again."""
        if not body or body == b"{}":
            return Outcome("delivered")
        from ._answers import rejected

        number, message = rejected(body)
        if not number:
            return Outcome("delivered", message)
        detail = f"{self.destination} has rejected spans: {message or 'it does not say why'}"
        return Outcome("delivered", detail, rejected=min(number, count))


def build(settings: Settings) -> OtlpExporter:
    """Build the exporter for the endpoint in the settings and the environment."""
    from ...settings import _otlp

    return OtlpExporter(_otlp.target(settings), settings)
