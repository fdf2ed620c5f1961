"""Base of the stores in AWS: botocore signs requests and parses responses, and `_http` carries them.

botocore's own connections have no timeout for a whole request, and no other thread can abort them.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ..._base.forks import importing
from ..._base.reports import Outcome
from ..._http.transport import Transport
from ...errors import ConfigurationError
from . import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOO_LARGE = ("EntityTooLarge", "InvalidParameterValue", "InvalidArgumentException", "ValidationException")
"""Codes of errors that may say that a batch is too large."""
_READ_TIMEOUT = 20  # seconds that reading may wait for a connection, and for an answer


class AwsStore(Store):
    """A store in AWS, in the region of the URL's `?region=`, or of the environment."""

    service = ""
    """boto3's name of the service."""
    form = ""
    """An example of a URL."""
    accepted = 0
    """Bytes of a batch that the service accepts however it is configured; 0: any that `limit` allows."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.place: str = f"{parts.netloc}{parts.path}".rstrip("/")
        query = parse_qs(parts.query)
        self.region: str | None = query.pop("region", [None])[0]
        if not self.place or query or "@" in parts.netloc:
            raise ConfigurationError(f"a store in AWS must be like {self.form} or {self.form}?region=eu-west-1")
        self.url: str = f"{parts.scheme}://{self.place}" + (f"?region={self.region}" if self.region else "")
        # Botocore may start threads, and cannot while the interpreter shuts down.
        import_module("concurrent.futures.thread")
        self._wire = _Wire()
        self._writer: Any = None
        self._reader: Any = None

    @abstractmethod
    def write(self, client: Any, batch: bytes, name: str) -> object:
        """Let the client send one batch."""

    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        self._wire.begin(timeout)
        client = self._client_to_write()
        try:
            self.write(client, batch, name)
        except client.exceptions.ClientError as error:
            details = error.response
            code, status = details["Error"].get("Code"), details["ResponseMetadata"].get("HTTPStatusCode")
            is_too_large = status == 413 or (code in _TOO_LARGE and 0 < self.accepted < len(batch))
            # The other lines of a refused signature quote the headers that were signed, with the session's token.
            detail = f"{self.url}: {str(error).partition(chr(10))[0]}"
            return Outcome("refused" if is_too_large else "retry", detail)
        return Outcome("delivered")

    def prepare(self, timeout: float) -> None:
        self._wire.begin(timeout)
        self._client_to_write()

    def cancel(self) -> None:
        self._wire.cancel()

    def close(self) -> None:
        self._wire.close()
        # Contains credentials, which must not be in a snapshot.
        reader, self._writer, self._reader = self._reader, None, None
        if reader is not None:
            reader.close()

    def _client_to_write(self) -> Any:
        if self._writer is None:
            client = self._new_client(retries={"total_max_attempts": 1})
            client.meta.events.register("before-send", self._wire.carry)
            self._writer = client
        return self._writer

    def client_to_read(self) -> Any:
        """Return a client with retries and long timeouts, for reading, for which no flush waits."""
        if self._reader is None:
            self._reader = self._new_client(connect_timeout=_READ_TIMEOUT, read_timeout=_READ_TIMEOUT)
        return self._reader

    def _new_client(self, **options: Any) -> Any:
        with importing():
            import_module("encodings.idna")  # resolving the name would
            from botocore.config import Config
            from botocore.session import Session

            session = Session()  # boto3's default session belongs to the user, and is not thread-safe
        session.get_credentials()  # may use the network, and no fork should wait for that
        with importing():
            return session.create_client(self.service, region_name=self.region, config=Config(**options))


class _Wire:
    """Carries the requests of a client. An abandoned thread may still be in here when another one arrives."""

    def __init__(self) -> None:
        self._origin, self._transport = "", Transport("http://")
        self._cancelled = 0  # how often; a request that began before is not sent
        self._thread = threading.local()

    def begin(self, timeout: float) -> None:
        """Limit the requests of this thread to this many seconds from now on."""
        self._thread.deadline, self._thread.cancelled = time.monotonic() + timeout, self._cancelled

    def cancel(self) -> None:
        self._cancelled += 1
        self._transport.cancel()

    def close(self) -> None:
        self._transport.close()

    def carry(self, request: Any, **_: object) -> Any:
        """Handle botocore's event before a request is sent, by returning the response."""
        from botocore.awsrequest import AWSResponse

        left = self._thread.deadline - time.monotonic()
        if left <= 0 or self._thread.cancelled != self._cancelled:
            raise TimeoutError("no time left")
        url = urlsplit(request.url)
        path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OURS}
        transport = self._to(f"{url.scheme}://{url.netloc}")
        answer = transport.request(request.method, path, _bytes(request.body), headers, left)
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Body(answer.body))

    def _to(self, origin: str) -> Transport:
        """Return the transport to this host; a bucket of another region redirects to another one."""
        if origin != self._origin:
            self._transport.close()
            self._origin, self._transport = origin, Transport(origin)
        return self._transport


_OURS = ("host", "content-length", "expect")
"""Headers that `_http` sets itself, and `Expect`, because it sends bodies at once."""


def _bytes(body: Any) -> bytes:
    """Return the body of a request, which may be text, or a file."""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Body:
    """The body of a response as botocore reads it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._data
