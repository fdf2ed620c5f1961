"""Finds the `dev` of a command, and calls its API."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from zespan_serverless.errors import ConfigurationError

from . import PORT
from .server import running

_TIMEOUT = 10.0  # seconds for an answer


class Address(NamedTuple):
    """A running `dev`. `token` is empty if it is not known: then its API cannot be used."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        """Return the answer of its API to a path below /api. Raises OSError."""
        with self.open(path) as answer:
            return json.loads(answer.read())

    def open(self, path: str, timeout: float = _TIMEOUT) -> Any:
        """Open the answer of its API, to be read as it comes. Raises OSError."""
        return self._open(f"api/{path}", timeout=timeout)

    def set_fault(self, mode: str) -> None:
        """Make it fail in this way from now on; `ok` ends that. Needs the token. Raises OSError."""
        self._open("api/fault", json.dumps({"mode": mode})).close()

    def tell(self, records: list[dict[str, Any]]) -> None:
        """Send lifecycle records. Raises OSError."""
        self._open("v1/lifecycle", "\n".join(map(json.dumps, records))).close()

    def commands(self, sandbox: str, patience: float) -> list[dict[str, Any]]:
        """Wait for commands to a sandbox, for at most `patience` seconds. Raises OSError, or ValueError."""
        with self._open(f"v1/commands?sandbox={sandbox}", timeout=patience) as answer:
            found: list[dict[str, Any]] = json.load(answer)["commands"]
        return found

    def _open(self, path: str, body: str | None = None, timeout: float = _TIMEOUT) -> Any:
        headers = {"content-type": "application/json"} if body is not None else {}
        if self.token and path.startswith("api/"):
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else body.encode()
        try:
            return _direct.open(urllib.request.Request(f"{self.url}/{path}", data, headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise

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
    """Find the `dev` at this URL, or the one of this folder, or this user's on the default port; None if none responds.

    A URL may contain the token, as `dev` prints it. Raises ConfigurationError for an invalid one.
    """
    here = running.find()
    if url is None:
        found = [Address(*here)] if here is not None else []
        if _is_this_users(PORT):
            found.append(Address(f"http://127.0.0.1:{PORT}", ""))
        return next((one for one in found if one.is_there()), None)
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


def _is_this_users(port: int) -> bool:
    """Whether a process of this user listens there, as far as the system shows. Another user's `dev`, or an imitation,
    would receive prompts that were not meant for it.
    """
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        place = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}:{port:04X}"
        return any(row[1] == place and row[3] == _LISTENS and int(row[7]) == os.geteuid() for row in rows)
    except (OSError, ValueError, IndexError):
        return True  # the file exists on Linux only


_LISTENS = "0A"  # a socket's state, in that file
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # proxies are not used for this machine
