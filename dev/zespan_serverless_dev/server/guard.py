"""Who may ask: this machine's own page, its owner with the token, and functions that send telemetry.

The server listens on the loopback interface only. Still, any page that is open in a browser can send requests there. So
a request must name this server as its host (an attacker's name that resolves to 127.0.0.1 is refused), a request from
another page is refused, and reading requires the token.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

_NAMES = ("127.0.0.1", "localhost", "[::1]")
_CONTAINERS = "host.docker.internal"  # how a container on a desktop calls this machine: for telemetry only
_USUAL_PORT = 80  # of HTTP
_FROM_PAGES = ("origin", "sec-fetch-site")

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What each answer has."""


class Guard:
    """Decides by a request's headers, whose names are in lower case."""

    def __init__(self, port: int, token: str) -> None:
        self._token = token
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        if port == _USUAL_PORT:
            self._hosts |= {*_NAMES}  # browsers leave it out
        self._origins = {f"http://{host}" for host in self._hosts}
        self._containers = f"{_CONTAINERS}:{port}"
        self.cookie = f"zespan_dev_{port}"
        """Its name: cookies do not tell ports of one machine apart."""

    def knows_host(self, headers: Mapping[str, str], is_telemetry: bool) -> bool:
        """Whether the request is meant for this server."""
        host = headers.get("host", "").lower()
        return host in self._hosts or (is_telemetry and host == self._containers)

    def is_from_page(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser has sent it for a page, which no function does."""
        return any(name in headers for name in _FROM_PAGES)

    def is_foreign(self, headers: Mapping[str, str], is_page: bool) -> bool:
        """Whether another page has sent it. A link on it may lead here, in a new tab."""
        if is_page and "origin" not in headers:
            where = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
            if where == ("navigate", "document"):
                return False
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        return (origin is not None and origin not in self._origins) or site in ("cross-site", "same-site")

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def is_owner(self, headers: Mapping[str, str]) -> bool:
        """Whether the request has the token, as a cookie or as a bearer token."""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(bearer.strip())
        # Not by `http.cookies`, which finds no cookie at all if one of them is not as it should be: those of other
        # servers on this machine come, too.
        cookies = (one.strip().partition("=") for one in headers.get("cookie", "").split(";"))
        return any(name == self.cookie and self.is_token(value) for name, _, value in cookies)

    def set_cookie(self) -> str:
        return f"{self.cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"


FILE = re.compile(r"(?:[A-Za-z0-9_-]+/){0,3}[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
"""Names of files of the page: no dots but before an ending, so that none leads out of its folder."""
