"""One kept-alive HTTP connection on http.client, which can be cut off from another thread.

A timeout of a socket counts from one byte to the next: a server that drips can stretch 0.5 s to minutes, and name
resolution has no timeout at all. So the deadline is enforced by whoever waits, through `cancel`; the timeouts in
here are only the first line.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._budget import clamp_retry_after

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_BODY_MAX = 65_536  # of an answer nobody reads; more, and the connection is not worth keeping
_IDLE_MAX = 50.0  # seconds of wall clock; load balancers drop idle connections after 60, and say so to a frozen process


class Transport:
    """Posts to one origin. `connect` and `post` belong to one thread; `cancel` and `close` may come from any."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port or (443 if self._secure else 80)
        self._origin, self._path = f"{url.scheme}://{url.netloc.rpartition('@')[2]}", url.path.rstrip("/")
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0  # wall clock: the monotonic one stands still while a sandbox is frozen
        self._plain_proxy: _Proxy | None = None
        self._tls: ssl.SSLContext | None = None

    def connect(self, timeout: float) -> None:
        """Open the connection ahead of the first request."""
        if self._connection is None:
            self._open(timeout)

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[int, Mapping[str, str]]:
        """(status, headers by lower-case name) of one request. OSError or http.client.HTTPException on failure.

        A kept-alive connection that the server has closed meanwhile is replaced, once and at once.
        """
        until = time.monotonic() + timeout
        kept = self._kept_alive()
        if kept is not None:
            try:
                return self._exchange(kept, path, body, headers, until)
            except (ConnectionError, http.client.BadStatusLine):
                if self._connection is not kept:  # `cancel` took it away: that was no stale connection
                    raise
                self.close()
        return self._exchange(self._open(until - time.monotonic()), path, body, headers, until)

    def cancel(self) -> None:
        """Cut the connection, so that whoever blocks on it returns, and forget it."""
        connection, self._connection = self._connection, None
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: that takes the TLS object from under the thread that is reading.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _kept_alive(self) -> http.client.HTTPConnection | None:
        connection = self._connection
        if connection is None or (connection.sock is not None and 0 <= time.time() - self._used < _IDLE_MAX):
            return connection
        self.close()
        return None

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        proxy = _proxy(self._origin, self._host)
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        connection: http.client.HTTPConnection
        if self._secure:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls_context())
            if proxy:
                connection.set_tunnel(self._host, self._port, headers=proxy.headers)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self._plain_proxy = None if self._secure else proxy
        self._connection = connection
        if timeout <= 0:
            raise TimeoutError("no time left to connect")
        connection.connect()
        self._used = time.time()
        return connection

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str], until: float
    ) -> tuple[int, Mapping[str, str]]:
        if self._connection is not connection:
            connection.close()
            raise TimeoutError("cut off while connecting")  # the batch is no longer ours to send
        target, sent = self._path + path, dict(headers)
        if self._plain_proxy:  # such a proxy wants the whole URL
            target, sent = self._origin + target, {**sent, **self._plain_proxy.headers}
        try:
            _limit(connection, until)
            connection.request("POST", target, body, sent)
            _limit(connection, until)
            response = connection.getresponse()
            response.read(_BODY_MAX)
            if not response.isclosed():
                connection.close()
        except BaseException:
            connection.close()
            raise
        self._used = time.time()
        return response.status, {k.lower(): v for k, v in response.getheaders()}

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


class _Proxy:
    """Where requests go instead, and what that proxy wants to see."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "//" in url else "//" + url)
        self.host, self.port, self.headers = parts.hostname or "", parts.port or 8080, dict[str, str]()
        if parts.username:
            from base64 import b64encode
            from urllib.parse import unquote

            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.headers["proxy-authorization"] = "Basic " + b64encode(pair.encode()).decode()


def _proxy(origin: str, host: str) -> _Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for, in either case."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass_environment

    proxies = getproxies_environment()
    url = proxies.get(origin.partition(":")[0]) or proxies.get("all")
    return None if not url or proxy_bypass_environment(host, proxies) else _Proxy(url)


def _limit(connection: http.client.HTTPConnection, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left")
    connection.sock.settimeout(left)


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number, or an HTTP date), clamped; None if it says nothing."""
    if not value or len(value) > 100:
        return None
    try:
        return clamp_retry_after(float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return clamp_retry_after(parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, OverflowError, OSError):
        return None

