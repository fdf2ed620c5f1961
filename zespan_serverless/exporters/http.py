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

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from typing import Any

_BODY_MAX = 65_536  # of an answer nobody reads; more, and the connection is not worth keeping
_IDLE_MAX = 50.0  # seconds of wall clock; load balancers drop idle connections after 60, and say so to a frozen process


class Transport:
    """Posts to one origin. `connect`, `post` and `close` belong to one thread at a time; `cancel` may come from any."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port or (443 if self._secure else 80)
        self._origin, self._path = f"{url.scheme}://{url.netloc.rpartition('@')[2]}", url.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        self._busy: _Connection | None = None
        self._idle: _Connection | None = None
        self._idle_since = 0.0  # wall clock: the monotonic one stands still while a sandbox is frozen

    def connect(self, timeout: float) -> None:
        """Open the connection ahead of the first request."""
        self._idle = self._kept_alive()
        if self._idle is None:
            connection = self._new(time.monotonic() + timeout)
            with self._use(connection):
                connection.connect()

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[int, Mapping[str, str]]:
        """(status, headers by lower-case name) of one request. OSError or http.client.HTTPException on failure.

        A kept-alive connection that turns out to be dead is replaced, once and at once.
        """
        until = time.monotonic() + timeout
        kept = self._kept_alive()
        if kept is not None:
            kept.until = until
            try:
                return self._exchange(kept, path, body, headers)
            except (OSError, http.client.BadStatusLine):
                if kept.is_cut:
                    raise
        return self._exchange(self._new(until), path, body, headers)

    def cancel(self) -> None:
        """Make a `connect` or `post` in another thread end: at once, or when it has resolved a name or shaken hands."""
        busy = self._busy
        if busy is not None:
            busy.cut()

    def close(self) -> None:
        """Close the connection if it is idle; the next request opens another. One that is busy is forgotten: it is the
        parent's if this is a forked child, and else closed by the thread that uses it."""
        idle, self._idle, self._busy = self._idle, None, None
        if idle is not None:
            idle.close()

    def _kept_alive(self) -> _Connection | None:
        """Take the connection that is idle, if it is any good."""
        connection, self._idle = self._idle, None
        if connection is not None and not 0 <= time.time() - self._idle_since < _IDLE_MAX:
            connection.close()
            return None
        return connection

    def _new(self, until: float) -> _Connection:
        proxy = _proxy(self._origin, f"{self._host}:{self._port}")
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        if not self._secure:
            connection = _Connection(host, port, until)
            if proxy:  # such a proxy wants the whole URL
                connection.prefix, connection.extra = self._origin, proxy.headers
            return connection
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        connection = _Connection(host, port, until, self._tls, self._host)
        if proxy:
            connection.set_tunnel(self._host, self._port, proxy.headers)
        return connection

    @contextlib.contextmanager
    def _use(self, connection: _Connection) -> Iterator[None]:
        """Do something with a connection that `cancel` can reach meanwhile. It is kept if all went well."""
        self._busy = connection
        try:
            yield
        except BaseException:
            connection.close()
            raise
        finally:
            if self._busy is connection:  # and not that of a thread that has taken our place
                self._busy = None
        if connection.is_cut:
            connection.close()
        elif connection.sock is not None:
            self._idle, self._idle_since = connection, time.time()

    def _exchange(
        self, connection: _Connection, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        with self._use(connection):
            connection.go_on()
            connection.request("POST", connection.prefix + self._path + path, body, {**headers, **connection.extra})
            connection.go_on()
            with connection.getresponse() as response:
                response.read(_BODY_MAX)
                if not response.isclosed():
                    connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}


class _Response(http.client.HTTPResponse):
    """One whose head is whole: http.client takes a connection that is cut after the status for the end of the head."""

    def begin(self) -> None:
        file: Any = self.fp
        lines: Any = _Lines(file)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = file
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(lines.last)


class _Lines:
    """What http.client reads a head from; knows the last line."""

    def __init__(self, file: Any) -> None:
        self.last = b""
        self._readline, self.close = file.readline, file.close

    def readline(self, limit: int) -> bytes:
        self.last = self._readline(limit)
        return self.last


class _Connection(http.client.HTTPConnection):
    """One connection, used until `until` (monotonic). It can be cut off in all that blocks once there is a socket."""

    response_class = _Response
    # Without what tracers of http.client (X-Ray's, of httplib) put around it: what we send is no work of the user's.
    _send_request = vars(http.client.HTTPConnection)["_send_request"]
    _send_request = getattr(_send_request, "__wrapped__", _send_request)

    def __init__(
        self, host: str, port: int, until: float, tls: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> None:
        if tls is not None:
            self.default_port = http.client.HTTPS_PORT
        super().__init__(host, port)
        self.until = until
        self.is_cut = False
        self.prefix, self.extra = "", dict[str, str]()  # what a plain proxy wants to see of the URL, and in headers
        self._tls, self._server_name = tls, server_name

    def connect(self) -> None:
        self.go_on()
        super().connect()  # and has a proxy open a tunnel
        self.go_on()
        if self._tls is not None:
            # The handshake comes after the socket is in its place: until then nobody could cut it off.
            plain = self.sock
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._server_name, do_handshake_on_connect=False)
            self.go_on()
            self.sock.do_handshake()
            self.go_on()

    def go_on(self) -> None:
        """Give the next step the time that is left. Raises if there is none, or if nobody waits for it any more."""
        left = self.until - time.monotonic()
        if self.is_cut or left <= 0:
            raise TimeoutError("cut off" if self.is_cut else "no time left")
        self.timeout = left
        if self.sock is not None:
            self.sock.settimeout(left)

    def cut(self) -> None:
        """From another thread: make the one that uses this connection return."""
        self.is_cut = True  # before the socket is looked at: one that is there too late meets `go_on`
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: that takes the TLS object from under the thread that is reading.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


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
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    url = proxies.get(origin.partition(":")[0]) or proxies.get("all")
    return None if not url or proxy_bypass(host) else _Proxy(url)


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number, or an HTTP date); None if it says nothing."""
    if not value or len(value) > 100:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
