"""A topic of Google Cloud Pub/Sub: one message for each batch.

google-auth provides the token; messages go over `_http`, because Google's client imports gRPC, whose threads do not
survive a fork, and has no connection that another thread can abort.
"""

from __future__ import annotations

import base64
import json
import os
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ..._base.forks import importing
from ..._base.reports import Outcome
from ..._http.transport import Transport
from ...errors import ConfigurationError
from . import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SCOPES = ("https://www.googleapis.com/auth/pubsub",)
_HIDDEN = 600  # seconds during which listed messages are hidden from other receivers, the maximum
_READ_TIMEOUT = 30  # seconds for one request that reads
_DETAIL_MAX, _WORD_MAX = 300, 60  # characters of a response, and of one of its words, that an outcome quotes


class Topic(Store):
    """`pubsub://project/topic`; with `?subscription=name` its messages can be read back from that subscription."""

    limit = 7_000_000  # a request has 10 MB at most, with the batch in base64

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self._subscription: str = query.pop("subscription", [""])[0]
        project, topic = parts.netloc, parts.path.strip("/")
        if not project or not topic or "/" in topic or "@" in project or query:
            raise ConfigurationError("a topic must be like pubsub://project/topic, perhaps with ?subscription=name")
        self._project, self._topic = project, topic
        self.url: str = f"pubsub://{project}/{topic}"
        if self._subscription:
            self.url += f"?subscription={self._subscription}"
        self._emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
        self._base = f"http://{self._emulator}" if self._emulator else "https://pubsub.googleapis.com"
        self._transport = Transport(self._base)
        self._tokens = _Tokens()
        self._received: dict[str, tuple[str, bytes]] = {}  # by message id: what acknowledges it, batch

    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout
        headers = {"content-type": "application/json"}
        if not self._emulator:
            headers["authorization"] = f"Bearer {self._tokens.get(deadline)}"
        message = {"data": base64.b64encode(batch).decode()}
        body = json.dumps({"messages": [message]}).encode()
        path = f"/v1/projects/{self._project}/topics/{self._topic}:publish"
        answer = self._transport.request("POST", path, body, headers, deadline - time.monotonic())
        if 200 <= answer.status < 300:
            return Outcome("delivered")
        if answer.status == 401:
            self._tokens.forget()
        detail = f"{self.url}: HTTP {answer.status} {_words(answer.body)}"
        return Outcome("refused" if answer.status == 413 else "retry", detail)

    def prepare(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        if not self._emulator:
            self._tokens.get(deadline)
        self._transport.connect(deadline - time.monotonic())

    def cancel(self) -> None:
        self._tokens.cancel()
        self._transport.cancel()

    def close(self) -> None:
        received, self._received = self._received, {}
        if received:
            self._hide([handle for handle, _ in received.values()], 0)
        self._tokens.forget()
        self._transport.close()

    def list(self) -> Iterator[str]:
        """Pull messages until there are none. Those that are not deleted become visible again after `close`."""
        if not self._subscription:
            self._is_write_only()
        known = set[str]()
        while messages := self._ask("pull", maxMessages=10).get("receivedMessages"):
            self._hide([message["ackId"] for message in messages], _HIDDEN)
            new = [found["message"]["messageId"] for found in messages if found["message"]["messageId"] not in known]
            if not new:
                return
            known.update(new)
            for found in messages:
                message = found["message"]
                self._received[message["messageId"]] = found["ackId"], base64.b64decode(message.get("data", ""))
            yield from new

    def get(self, name: str) -> bytes:
        return self._received[name][1]

    def delete(self, name: str) -> None:
        handle, _ = self._received.pop(name)
        self._ask("acknowledge", ackIds=[handle])

    def _hide(self, handles: Sequence[str], seconds: int) -> None:
        self._ask("modifyAckDeadline", ackIds=handles, ackDeadlineSeconds=seconds)

    def _ask(self, method: str, **body: object) -> dict[str, Any]:
        """Call a method of the subscription. `_http` would not do, because it keeps only the beginning of an answer."""
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        anonymous: Any = AnonymousCredentials
        credentials = anonymous() if self._emulator else self._tokens.credentials()
        url = f"{self._base}/v1/projects/{self._project}/subscriptions/{self._subscription}:{method}"
        session: Any = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        with session:
            answer = session.post(url, json=body, timeout=_READ_TIMEOUT)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _words(body: bytes) -> str:
    """Return the beginning of a response, without long words, because it may quote the batch in base64.

    The rest of a batch ends within its header, because nothing else of gzip can be unpacked.
    """
    words = body.decode("utf-8", "replace").split()
    return " ".join(word if len(word) <= _WORD_MAX else f"{word[:_WORD_MAX]}..." for word in words)[:_DETAIL_MAX]


class _Tokens:
    """Access tokens of the process's own identity, which google-auth gets through requests that are made here."""

    def __init__(self) -> None:
        self._credentials: Any = None
        self._deadline = 0.0
        self._transport: Transport | None = None

    def get(self, deadline: float) -> str:
        self._deadline = deadline
        credentials = self.credentials()
        if not credentials.valid:
            credentials.refresh(self._request)
        return str(credentials.token)

    def credentials(self) -> Any:
        if self._credentials is None:
            with importing():
                import_module("encodings.idna")  # resolving the name would
                import google.auth
            request: Any = self._request
            self._credentials, _ = google.auth.default(scopes=_SCOPES, request=request)
        return self._credentials

    def cancel(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.cancel()

    def forget(self) -> None:
        self._credentials = None

    def _request(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        """google-auth's `transport.Request`, within the time that is left, and without retries."""
        parts = urlsplit(url)
        self._transport = transport = Transport(f"{parts.scheme}://{parts.netloc}")
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        sent = body.encode() if isinstance(body, str) else body or b""
        left = self._deadline - time.monotonic()
        answer = transport.request(method, path, sent, headers or {}, min(left, timeout or left))
        transport.close()
        return _Answer(answer.status, answer.headers, answer.body)


class _Answer:
    """google-auth's `transport.Response`."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data
