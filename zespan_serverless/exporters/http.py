"""`HttpExporter`: posts batches to one address. Derive from it for your own backend.

class Mine(HttpExporter):
    PATH = "/events"
    VARIABLE = "MINE_API_KEY"

    def body_of(self, batch):
        return b"[" + b",".join(batch) + b"]"

    def headers_for(self, key):
        return {"content-type": "application/json", "authorization": f"Bearer {key}"}

@zespan_lambda(exporter=Mine("https://ingest.example", os.environ["MINE_API_KEY"]))
def handler(event, context): ...
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from .._base.reports import Outcome
from .._http.transport import retry_after, transport_to
from ..errors import ConfigurationError
from . import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._base.http_client import HttpClient
    from .._http.answer import Answer
    from .._platforms.secrets import Secret

_KEY_LENGTH = 16  # characters: the last four of a key that is at least so long may be shown
_UNAUTHORIZED = (401, 403)
_REFUSED = (400, 413, 422)
_PASSING = (502, 503, 504)  # what a proxy or a busy server returns for any request
# Every other status but 2xx is retried: 408, 409, 425, 429 and 5xx by their meaning; a redirect, a 404 or a login page
# because it may come from a proxy, or from a deployment in progress. The buffer's bounds limit how long.


class HttpExporter(Exporter):
    """Sends to one base_url with one key, over one kept-alive connection, or through the user's client.

    Args:
        base_url: The address, to which `PATH` is added.
        api_key: The key, if there is one.
        api_key_secret: Where AWS keeps the key, as in the setting.
        http_client: An `httpx.Client`, or a function that makes one, as in the setting.
    """

    PATH: ClassVar[str]
    """The path that is added to the base_url."""
    VARIABLE: ClassVar[str] = ""
    """The environment variable that the key is usually in, for the log line that says what to do if it is refused."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        api_key_secret: str | None = None,
        http_client: HttpClient | Callable[[], HttpClient] | None = None,
    ) -> None:
        self._transport = transport_to(base_url, http_client)
        self._secret: Secret | None = None
        self._source = api_key_secret
        if api_key_secret and not api_key:
            from .._platforms.secrets import Secret

            self._secret = Secret(api_key_secret)
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigurationError("api_key has characters that are not allowed in an HTTP header: copy it anew")
        self._key = api_key
        self.account: tuple[str, str] = base_url, api_key or api_key_secret or ""
        """The destination and the account: a journal of another process is taken over if both are the same."""

    @abstractmethod
    def body_of(self, batch: Sequence[bytes]) -> bytes:
        """Return the body of a request with these encoded events."""

    @abstractmethod
    def headers_for(self, key: str | None) -> Mapping[str, str]:
        """Return the headers of a request, by names in lower case, with the key if there is one."""

    def prepare(self, timeout: float) -> None:
        if self._secret is not None:
            self._secret.begin()
        self._transport.connect(timeout)

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout  # before compressing, whose time counts
        return self._outcome(self._post(self.body_of(batch), deadline))

    async def send_async(self, batch: Sequence[bytes], timeout: float) -> Outcome:  # noqa: ASYNC109
        """Do the same as `send` in an event loop, on a platform without threads and sockets."""
        transport: Any = self._transport
        body, headers = self.body_of(batch), self.headers_for(self._key)
        return self._outcome(await transport.post_async(self.PATH, body, headers, timeout))

    def _outcome(self, received: Answer) -> Outcome:
        status, headers, answer = received
        detail = f"HTTP {status}"
        if 200 <= status < 300:
            if answer.lstrip().startswith(b"<"):
                return Outcome("retry", f"{detail} with a page in HTML, which no ingest answers")
            return Outcome("delivered")
        if status in _UNAUTHORIZED:
            return Outcome("unauthorized", f"{detail} from {self.destination} {self._hint()}")
        if status in _REFUSED:
            return Outcome("refused", f"{detail} from {self.destination}")
        return Outcome("retry", detail, retry_after(headers.get("retry-after")), suspect=is_suspect(status))

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
        """Return the destination's scheme and host, and the proxy, if any, for the log."""
        return self._transport.destination

    def _hint(self) -> str:
        """Say which key was refused, where it is from, and what to do. Shows at most four characters of it."""
        variable = self.VARIABLE
        if self._secret is not None:
            return f"for the key from {self._source}: put a valid one there"
        if not self._key:
            return f"because there is no key: {f'set {variable}' if variable else 'pass one as api_key'}"
        which = f"ending in {self._key[-4:]}" if len(self._key) >= _KEY_LENGTH else "given"
        if variable and os.environ.get(variable, "").strip() == self._key:
            return f"for the key {which}: set {variable} to a valid one"
        return f"for the key {which}: pass a valid one as api_key{f', or set {variable} instead' if variable else ''}"

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
        return self._transport.post(self.PATH, body, self.headers_for(key), deadline - time.monotonic())


def is_suspect(status: int) -> bool:
    """Whether an event in the batch may have caused the response: a server that fails at it returns 500."""
    return status >= 500 and status not in _PASSING
