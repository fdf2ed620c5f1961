"""One kept-alive HTTP connection, which can be cut off from another thread.

A timeout of a socket counts from one byte to the next: a server that drips can stretch 0.5 s to minutes, and name
resolution has no timeout at all. So the deadline is enforced by whoever waits, through `cancel`; the timeouts in
here are only the first line.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._http import Channel, TornAnswer, connect
from .._imports import importing

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

_IDLE_MAX = 50.0  # seconds of wall clock; load balancers drop idle connections after 60, and say so to a frozen process


class Transport:
    """Posts to one origin. `connect`, `post` and `close` belong to one thread at a time; `cancel` may come from any."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port or (443 if self._secure else 80)
        usual = url.port is None or url.port == (443 if self._secure else 80)
        netloc = url.netloc.rpartition("@")[2]
        self._name = netloc.removesuffix(f":{url.port}") if usual else netloc  # as browsers have it in Host
        self._origin, self._path = f"{url.scheme}://{netloc}", url.path.rstrip("/")
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
        """(status, headers by lower-case name) of one request. OSError on failure.

        A kept-alive connection that turns out to be dead is replaced, once and at once.
        """
        until = time.monotonic() + timeout
        kept = self._kept_alive()
        if kept is not None:
            kept.until = until
            try:
                return self._exchange(kept, path, body, headers)
            except OSError as error:
                if kept.is_cut or isinstance(error, TornAnswer):
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
        if connection is not None and not (0 <= time.time() - self._idle_since < _IDLE_MAX and connection.is_quiet()):
            connection.close()
            return None
        return connection

    def _new(self, until: float) -> _Connection:
        with importing():
            proxy = _proxy(self._origin, f"{self._host}:{self._port}")
            if self._secure and self._tls is None:
                import ssl

                self._tls = ssl.create_default_context()
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        connection = _Connection(host, port, until)
        if self._secure:
            connection.tls, connection.server_name = self._tls, self._host
            if proxy:
                connection.tunnel = f"{_bracketed(self._host)}:{self._port}", proxy.headers
        elif proxy:  # such a proxy wants the whole URL
            connection.prefix, connection.extra = self._origin, proxy.headers
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
            ours = self._busy is connection  # else it was closed meanwhile, or another thread has taken our place
            if ours:
                self._busy = None
        if ours and connection.reusable and not connection.is_cut:
            self._idle, self._idle_since = connection, time.time()
        else:
            connection.close()

    def _exchange(
        self, connection: _Connection, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        with self._use(connection):
            said = {"host": self._name, **headers, **connection.extra}
            return connection.post(connection.prefix + self._path + path, said, body)


class _Connection:
    """One connection, used until `until` (monotonic). It can be cut off in all that blocks once there is a socket."""

    def __init__(self, host: str, port: int, until: float) -> None:
        self.until = until
        self.is_cut = False
        self.prefix, self.extra = "", dict[str, str]()  # what a plain proxy wants to see of the URL, and in headers
        self.tunnel: tuple[str, Mapping[str, str]] | None = None  # what any other is asked for, and in headers
        self.tls: ssl.SSLContext | None = None
        self.server_name = ""
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._channel: Channel | None = None

    @property
    def reusable(self) -> bool:
        """Whether it is worth keeping."""
        return self._channel is not None and self._channel.reusable

    def is_quiet(self) -> bool:
        """Whether nothing has come over it since the last answer."""
        return self._channel is not None and self._channel.is_quiet()

    def connect(self) -> None:
        """Make it ready for a request."""
        self._go_on()
        self._socket = connect(self._host, self._port, self.until - time.monotonic())
        self._go_on()
        if self.tunnel is not None:
            self._open_tunnel(*self.tunnel)
        if self.tls is not None:
            # The handshake comes after the socket is in its place: until then nobody could cut it off.
            plain, name = self._socket, self.server_name
            secure = self.tls.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            self._socket = secure
            self._go_on()
            secure.do_handshake()
            self._go_on()
        self._channel = Channel(self._socket)

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        """(status, headers by lower-case name) of one request."""
        if self._channel is None:
            self.connect()
        self._go_on()
        assert self._channel is not None
        self._channel.send("POST", target, headers, body)
        self._go_on()
        status, said, _ = self._channel.receive()
        return status, said

    def close(self) -> None:
        """By the thread that uses it, or when nobody does."""
        for part in (self._channel, self._socket):
            if part is not None:
                part.close()
        self._channel = None

    def cut(self) -> None:
        """From another thread: make the one that uses this connection return."""
        self.is_cut = True  # before the socket is looked at: one that is there too late meets `_go_on`
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: that takes the TLS object from under the thread that is reading.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _go_on(self) -> None:
        """Give the next step the time that is left. Raises if there is none, or if nobody waits for it any more."""
        left = self.until - time.monotonic()
        if self.is_cut or left <= 0:
            raise TimeoutError("cut off" if self.is_cut else "no time left")
        if self._socket is not None:
            self._socket.settimeout(left)

    def _open_tunnel(self, target: str, headers: Mapping[str, str]) -> None:
        assert self._socket is not None
        channel = Channel(self._socket)
        try:
            channel.send("CONNECT", target, {"host": target, **headers})
            self._go_on()
            status = channel.receive(has_body=False).status
        finally:
            channel.release()
        if not 200 <= status < 300:
            raise OSError(f"the proxy answered {status}")
        self._go_on()


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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
    with importing():
        from email.utils import parsedate_to_datetime
    try:
        return parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
