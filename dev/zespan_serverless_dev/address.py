"""The `dev` that a command is about, and how to ask it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from zespan_serverless.errors import ConfigurationError

from .commands.dev import PORT
from .server import running

_TIMEOUT = 10.0  # seconds for an answer


class Address(NamedTuple):
    """A running `dev`. `token` is empty if nobody has told it: then its API cannot be asked."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        """What its API answers below /api. Raises OSError."""
        with self.open(path) as answer:
            return json.loads(answer.read())

    def open(self, path: str, timeout: float = _TIMEOUT) -> Any:
        """The answer of its API, to be read. Raises OSError."""
        request = urllib.request.Request(f"{self.url}/api/{path}", headers={"authorization": f"Bearer {self.token}"})
        return _direct.open(request, timeout=timeout)

    def tell(self, records: list[dict[str, Any]]) -> None:
        """Send lifecycle records. Raises OSError."""
        body = "\n".join(map(json.dumps, records)).encode()
        request = urllib.request.Request(f"{self.url}/v1/lifecycle", body, {"content-type": "application/x-ndjson"})
        _direct.open(request, timeout=_TIMEOUT).close()

    def is_there(self) -> bool:
        """Whether a `dev` answers, and accepts the token if there is one."""
        try:
            self.tell([])
            if self.token:
                self.get("runs")
        except (OSError, ValueError):
            return False
        return True


def find(url: str | None = None) -> Address | None:
    """The `dev` at this URL, else the one whose folder is here, else the one on the default port; None if none answers.

    A URL may have the token, as `dev` prints it. Raises ConfigurationError if it is none.
    """
    here = running.find()
    if url is None:
        found = [Address(*here)] if here is not None else []
        return next((one for one in [*found, Address(f"http://127.0.0.1:{PORT}", "")] if one.is_there()), None)
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or port is None:
        raise ConfigurationError(f"--dev {url}: use the URL that `zespan-serverless dev` has printed")
    base = f"http://{parts.hostname}:{port}"
    token = (parse_qs(parts.query).get("token") or [""])[0]
    if not token and here is not None and here.url == base:
        token = here.token
    address = Address(base, token)
    return address if address.is_there() else None


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
