"""One kept-alive HTTP connection, which can be cut off from another thread.

Name resolution has no timeout, and clocks may stand still. So the deadline is enforced by whoever waits, through
`cancel`; the timeouts in here are only the first line.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._base.forks import importing
from .._base.guard import pass_on
from .client import Answer, Channel, TornAnswer, connect

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
        self._worked: object = None  # of several addresses that a name may have, the last that took a request
        self._failed: object = None  # and the last that did not, if that was later
        self._busy: _Connection | None = None
        self._idle: _Connection | None = None
        self._idle_since = 0.0  # wall clock: the monotonic one stands still while a sandbox is frozen

    @property
    def destination(self) -> str:
        """Where requests go, for a person to read; without a password."""
        try:
            proxy = _proxy(self._origin, f"{self._host}:{self._port}")
        except ValueError:  # the request will say it
            proxy = None
        return f"{self._origin} through the proxy {proxy.host}:{proxy.port}" if proxy else self._origin

    def connect(self, timeout: float) -> None:
        """Open the connection ahead of the first request."""
        self._idle = self._kept_alive()
        if self._idle is None:
            connection = self._new(time.monotonic() + timeout)
            with self._use(connection):
                connection.connect()

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """What one request is answered with; of the answer's body only what is needed, see `_Connection.post`.

        OSError on failure. A kept-alive connection that turns out to be dead is replaced, once and at once.
        """
        until = time.monotonic() + timeout
        kept = self._kept_alive()
        if kept is not None:
            kept.until = until
            try:
                return self._exchange(kept, path, body, headers)
            except OSError as error:
                pass_on(error)
                if kept.is_cut or isinstance(error, TornAnswer):
                    raise
        return self._exchange(self._new(until), path, body, headers)

    def cancel(self) -> None:
        """Make a `connect` or `post` in another thread end: at once, or when it has resolved a name and connected."""
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
            if self._tls is None and (self._secure or (proxy and proxy.secure)):
                import ssl

                self._tls = ssl.create_default_context()
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        connection = _Connection(host, port, until, self._worked, self._failed)
        if proxy and proxy.secure:
            connection.proxy_tls = self._tls
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
            if connection.address is not None:
                self._worked, self._failed = None, connection.address
            raise
        finally:
            ours = self._busy is connection  # else it was closed meanwhile, or another thread has taken our place
            if ours:
                self._busy = None
        self._worked, self._failed = connection.address, None
        if ours and connection.reusable and not connection.is_cut:
            self._idle, self._idle_since = connection, time.time()
        else:
            connection.close()

    def _exchange(self, connection: _Connection, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        with self._use(connection):
            said = {"host": self._name, **headers, **connection.extra}
            return connection.post(connection.prefix + self._path + path, said, body)


class _Connection:
    """One connection, used until `until` (monotonic). It can be cut off in all that blocks once there is a socket."""

    def __init__(self, host: str, port: int, until: float, first: object = None, last: object = None) -> None:
        self.until = until
        self.is_cut = False
        self.prefix, self.extra = "", dict[str, str]()  # what a plain proxy wants to see of the URL, and in headers
        self.tunnel: tuple[str, Mapping[str, str]] | None = None  # what any other is asked for, and in headers
        self.proxy_tls: ssl.SSLContext | None = None
        self.tls: ssl.SSLContext | None = None
        self.server_name = ""
        self.address: object = None
        """Which of a name's addresses it goes to, if it has got there."""
        self._first, self._last = first, last
        self._host, self._port = host, port
        self._channel: Channel | None = None
        self._is_ready = False

    @property
    def reusable(self) -> bool:
        """Whether it is worth keeping."""
        return self._is_ready and self._channel is not None and self._channel.reusable

    def is_quiet(self) -> bool:
        """Whether it is ours, and nothing has come over it since the last answer."""
        return self._channel is not None and self._channel.is_quiet()

    def connect(self) -> None:
        """Make it ready for a request."""
        connected = connect(self._host, self._port, self._left(), self._first, self._last)
        # In its place before hands are shaken: until then nobody could cut it off.
        self._channel = channel = Channel(connected)
        self.address = connected.getpeername()
        if self.proxy_tls is not None:
            self._go_on(channel).secure(_Tls(self.proxy_tls, self._host))
        if self.tunnel is not None:
            self._open_tunnel(channel, *self.tunnel)
        if self.tls is not None:
            self._go_on(channel).secure(_Tls(self.tls, self.server_name))
        self._is_ready = True

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What one request is answered with.

        Its body is not waited for, with one exception: a page in HTML, which may be a proxy's or a login's with a
        status that says yes. Only what it says tells; some frameworks call an "ok" HTML, too.
        """
        if not self._is_ready:
            self.connect()
        assert self._channel is not None
        channel = self._go_on(self._channel)
        channel.send("POST", target, headers, body)
        answer = self._go_on(channel).receive(whole=False)
        if 200 <= answer.status < 300 and "html" in answer.headers.get("content-type", "").lower():
            answer = answer.replaced(body=answer.body or channel.rest())
        return answer

    def close(self) -> None:
        """By the thread that uses it, or when nobody does."""
        if self._channel is not None:
            self._channel.close()

    def cut(self) -> None:
        """From another thread: make the one that uses this connection return."""
        self.is_cut = True  # before the socket is looked at: one that is there too late meets `_left`
        if self._channel is not None:
            self._channel.cut()

    def _left(self) -> float:
        """The time that is left. Raises if there is none, or if nobody waits for it any more."""
        left = self.until - time.monotonic()
        if self.is_cut or left <= 0:
            raise TimeoutError("cut off" if self.is_cut else "no time left")
        return left

    def _go_on(self, channel: Channel) -> Channel:
        """The channel, for a next step, if there is to be one."""
        self._left()
        channel.until = self.until
        return channel

    def _open_tunnel(self, channel: Channel, target: str, headers: Mapping[str, str]) -> None:
        self._go_on(channel).send("CONNECT", target, {"host": target, **headers})
        status = self._go_on(channel).receive(has_body=False).status
        if not 200 <= status < 300:
            raise OSError(f"the proxy answered {status}")


class _Tls:
    """TLS between bytes and bytes: what carries them may be a socket, or TLS to a proxy."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        import ssl

        self._wants, self._torn = ssl.SSLWantReadError, ssl.SSLEOFError
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._is_shaken = False
        self.ended = False
        """Whether the other side has said goodbye."""

    def handshake(self) -> bool:
        """Whether it is over."""
        try:
            self._tls.do_handshake()
        except self._wants:
            return False
        self._is_shaken = True
        return True

    def feed(self, data: bytes) -> None:
        self._in.write(data)

    def read(self) -> bytes:
        data = b""
        try:
            while self._is_shaken and not self.ended:
                piece = self._tls.read(65_536)
                data += piece
                self.ended = not piece
        except self._wants:
            pass
        except self._torn:
            self.ended = True
        return data

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]

    def pending(self) -> bytes:
        return self._out.read()


class _Proxy:
    """Where requests go instead, and what that proxy wants to see. ValueError, without the URL and its password, for
    what is none."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url if "//" in url else "//" + url)
            self.secure = parts.scheme == "https"
            self.host, self.port = parts.hostname or "", parts.port or (443 if self.secure else 8080)
        except ValueError:
            raise ValueError("the proxy in the environment has no URL with a valid host and port") from None
        if parts.scheme not in ("", "http", "https"):
            raise ValueError(f"a proxy of the kind {parts.scheme}:// is not supported, only http:// and https://")
        self.headers = dict[str, str]()
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
