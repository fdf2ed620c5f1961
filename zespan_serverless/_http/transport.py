"""Sends requests to one origin over one kept-alive connection, which another thread can abort.

Name resolution has no timeout, and clocks may stand still. So the thread that waits for a request enforces the deadline
through `cancel`; the timeouts in this file are only the first line of defence.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._base.forks import importing
from .._base.guard import pass_on
from .answer import Answer, TornAnswer
from .client import Channel
from .sockets import connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from .._base.http_client import HttpClient
    from .fetching import FetchTransport
    from .proxy import Proxy
    from .through_client import ClientTransport

    T = TypeVar("T")
    _Request = tuple[str, str, bytes, Mapping[str, str]]  # method, path, body, headers

_GZIP = 16  # added to zlib's `wbits`, it asks for gzip's header
_LOOKAHEAD = 262  # bytes: zlib finds repetitions within its window less these
_IDLE_MAX = 50.0  # seconds of wall clock; load balancers drop idle connections after 60, unnoticed by a frozen process


class Transport:
    """All methods are called by one thread at a time, but for `cancel`, which may be called by any thread."""

    def __init__(self, base_url: str, *, certificate: str | None = None, reads: tuple[str, ...] = ("html",)) -> None:
        """`certificate`: a file of certificates to trust, not the system's. `reads`: see `_Connection.request`."""
        url = urlsplit(base_url)
        self._certificate, self._reads = certificate, reads
        self._is_tls = url.scheme == "https"
        self._scheme, self._host, self._port = url.scheme, url.hostname or "", url.port or (443 if self._is_tls else 80)
        is_default_port = url.port is None or url.port == (443 if self._is_tls else 80)
        netloc = url.netloc.rpartition("@")[2]
        self._host_header = netloc.removesuffix(f":{url.port}") if is_default_port else netloc  # as browsers do
        self._origin, self._path = f"{url.scheme}://{netloc}", url.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        # Of several addresses that the host may have: the last one that worked, and the last one that failed if that
        # was later.
        self._worked: object = None
        self._failed: object = None
        self._busy: _Connection | None = None
        self._idle: _Connection | None = None
        self._idle_since = 0.0  # wall clock: the monotonic one stands still while a sandbox is frozen

    @property
    def destination(self) -> str:
        """Where requests go, for log messages; without a password."""
        try:
            proxy = self._proxy()
        except ValueError:  # the request will fail with it
            proxy = None
        return f"{self._origin} through the proxy {proxy.host}:{proxy.port}" if proxy else self._origin

    def connect(self, timeout: float) -> None:
        """Open the connection before the first request. Raises OSError if that fails within `timeout` seconds."""
        self._idle = self._kept_alive()
        if self._idle is None:
            connection = self._new(time.monotonic() + timeout)
            self._use(connection, connection.connect)

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Post a request, and return the answer within `timeout` seconds; see `_Connection.request` for its body.

        Raises OSError on failure. If a kept-alive connection turns out to be dead, the request is repeated once, over a
        new one.
        """
        return self._request(("POST", path, body, headers), timeout, whole=False)

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Return the same with another method, and the whole body of the answer, of which 64 KiB are kept."""
        return self._request((method, path, body, headers), timeout, whole=True)

    def _request(self, request: _Request, timeout: float, *, whole: bool) -> Answer:
        deadline = time.monotonic() + timeout
        kept = self._kept_alive()
        if kept is not None:
            kept.deadline = deadline
            try:
                return self._exchange(kept, request, whole)
            except OSError as error:
                pass_on(error)
                if kept.aborted or isinstance(error, TornAnswer):
                    raise
        return self._exchange(self._new(deadline), request, whole)

    def cancel(self) -> None:
        """Make what another thread does in here fail: at once, or when it has resolved a name and connected."""
        busy = self._busy
        if busy is not None:
            busy.abort()

    def close(self) -> None:
        """Close the idle connection; the next request opens another.

        A busy connection is not touched: in a forked child it is the parent's, elsewhere the thread that uses it closes
        it.
        """
        idle, self._idle, self._busy = self._idle, None, None
        if idle is not None:
            idle.close()

    def _kept_alive(self) -> _Connection | None:
        """Take the idle connection, if it can be used again."""
        connection, self._idle = self._idle, None
        if connection is None:
            return None
        if not (0 <= time.time() - self._idle_since < _IDLE_MAX and connection.has_no_stray_bytes()):
            connection.close()
            return None
        return connection

    def _new(self, deadline: float) -> _Connection:
        with importing():
            proxy = self._proxy()
            if self._tls is None and (self._is_tls or (proxy and proxy.is_tls)):
                import ssl

                self._tls = ssl.create_default_context(cafile=self._certificate)
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        connection = _Connection(host, port, deadline, self._worked, self._failed)
        connection.reads = self._reads
        if proxy and proxy.is_tls:
            connection.proxy_tls = self._tls
        if self._is_tls:
            connection.tls, connection.server_name = self._tls, self._host
            if proxy:
                name = f"[{self._host}]" if ":" in self._host else self._host  # brackets around an IPv6 address
                connection.tunnel = f"{name}:{self._port}", proxy.headers
        elif proxy:  # such a proxy expects the whole URL
            connection.prefix, connection.extra_headers = self._origin, proxy.headers
        return connection

    def _proxy(self) -> Proxy | None:
        if not any(name.lower().endswith("_proxy") for name in os.environ):
            return None
        from .proxy import from_environment

        return from_environment(self._scheme, f"{self._host}:{self._port}")

    def _use(self, connection: _Connection, step: Callable[[], T]) -> T:
        """Let `cancel` reach a connection while it is used. Afterwards it is kept, unless something has failed."""
        self._busy = connection
        try:
            result = step()
        except BaseException:
            connection.close()
            if connection.address is not None:
                self._worked, self._failed = None, connection.address
            raise
        finally:
            is_ours = self._busy is connection  # else `close` was called, or another thread has taken our place
            if is_ours:
                self._busy = None
        self._worked, self._failed = connection.address, None
        if is_ours and connection.reusable and not connection.aborted:
            self._idle, self._idle_since = connection, time.time()
        else:
            connection.close()
        return result

    def _exchange(self, connection: _Connection, request: _Request, whole: bool) -> Answer:
        method, path, body, headers = request
        sent = {"host": self._host_header, **headers, **connection.extra_headers}
        asked = method, connection.prefix + (self._path + path or "/"), body, sent
        return self._use(connection, partial(connection.request, asked, whole))


class _Connection:
    """One connection, which is used until `deadline` (monotonic). It can be aborted wherever it waits for a socket.

    It is new, then connecting (there is a channel, which `abort` can reach), then ready for requests.
    """

    def __init__(self, host: str, port: int, deadline: float, first: object = None, last: object = None) -> None:
        self.deadline = deadline
        self.aborted = False
        self.prefix, self.extra_headers = "", dict[str, str]()  # of requests through a proxy that sees them
        self.reads: tuple[str, ...] = ("html",)  # see `request`
        self.tunnel: tuple[str, Mapping[str, str]] | None = None  # what a proxy is to connect us to, and its headers
        self.proxy_tls: ssl.SSLContext | None = None
        self.tls: ssl.SSLContext | None = None
        self.server_name = ""
        self.address: object = None
        """The address that it is connected to, of several that the host may have; None before that."""
        self._first, self._last = first, last
        self._host, self._port = host, port
        self._channel: Channel | None = None
        self._is_ready = False

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._is_ready and self._channel is not None and self._channel.reusable

    def has_no_stray_bytes(self) -> bool:
        """Whether another request can follow now, see `Channel.has_no_stray_bytes`."""
        return self._channel is not None and self._channel.has_no_stray_bytes()

    def connect(self) -> None:
        """Make it ready for a request."""
        connected = connect(self._host, self._port, self._time_left(), self._first, self._last)
        # Stored before the handshake, which could not be aborted otherwise.
        self._channel = channel = Channel(connected)
        self.address = connected.getpeername()
        if self.proxy_tls is not None:
            self._check_deadline(channel).secure(_Tls(self.proxy_tls, self._host))
        if self.tunnel is not None:
            self._open_tunnel(channel, *self.tunnel)
        if self.tls is not None:
            self._check_deadline(channel).secure(_Tls(self.tls, self.server_name))
        self._is_ready = True

    def request(self, request: _Request, whole: bool) -> Answer:
        """Send a request, and return the answer.

        Unless it is wanted whole, its body is not waited for, except that of a success whose content type has one of
        the words `reads`. HTML may be the page of a proxy or a login instead of the backend's answer, or a plain "ok"
        of a framework: only its text distinguishes them.
        """
        if not self._is_ready:
            self.connect()
        assert self._channel is not None
        channel = self._check_deadline(self._channel)
        method, target, body, headers = request
        channel.send(method, target, headers, body)
        answer = channel.receive(has_body=method != "HEAD", whole=whole)
        if 200 <= answer.status < 300:
            kind = answer.headers.get("content-type", "").lower()
            if any(word in kind for word in self.reads):
                answer = answer.replaced(body=answer.body or channel.read_body())
        return answer

    def close(self) -> None:
        """Close it: called by the thread that uses it, or when it is unused."""
        if self._channel is not None:
            self._channel.close()

    def abort(self) -> None:
        """Make the thread that uses this connection fail. Called by another thread."""
        self.aborted = True  # first: if the channel is created after the next line, `_time_left` raises
        if self._channel is not None:
            self._channel.abort()

    def _time_left(self) -> float:
        """Return seconds until the deadline. Raises TimeoutError if it has passed, or if the connection was aborted."""
        time_left = self.deadline - time.monotonic()
        if self.aborted or time_left <= 0:
            raise TimeoutError("aborted" if self.aborted else "no answer in time")
        return time_left

    def _check_deadline(self, channel: Channel) -> Channel:
        """Return the channel, for the next step. Raises TimeoutError if there must be none."""
        self._time_left()
        channel.deadline = self.deadline
        return channel

    def _open_tunnel(self, channel: Channel, target: str, headers: Mapping[str, str]) -> None:
        self._check_deadline(channel).send("CONNECT", target, {"host": target, **headers})
        status = self._check_deadline(channel).receive(has_body=False).status
        if not 200 <= status < 300:
            raise OSError(f"the proxy refused to connect to {target}: HTTP {status}")


class _Tls:
    """TLS from bytes to bytes, because what carries them may be a socket, or TLS to a proxy."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        import ssl

        self._want_read, self._torn = ssl.SSLWantReadError, ssl.SSLEOFError
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._is_established = False
        self.ended = False
        """Whether the peer has closed the TLS connection."""

    def handshake(self) -> bool:
        """Whether the handshake is complete; call it again when more has arrived. Raises OSError if it fails."""
        try:
            self._tls.do_handshake()
        except self._want_read:
            return False
        self._is_established = True
        return True

    def feed(self, data: bytes) -> None:
        """Take encrypted bytes that have arrived."""
        self._incoming.write(data)

    def read(self) -> bytes:
        """Return the plain bytes that can be decrypted so far."""
        data = b""
        try:
            while self._is_established and not self.ended:
                piece = self._tls.read(65_536)
                data += piece
                self.ended = not piece
        except self._want_read:
            pass
        except self._torn:
            self.ended = True
        return data

    def write(self, data: bytes) -> None:
        """Encrypt these bytes."""
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[self._tls.write(unwritten) :]

    def pending(self) -> bytes:
        """Take the encrypted bytes that are to be sent."""
        return self._outgoing.read()


def gzipped(body: bytes) -> bytes:
    """Compress a body, fast. Its window is not larger than needed: the largest one takes 256 KB, which may be new."""
    bits = min(max((len(body) + _LOOKAHEAD).bit_length(), 9), 15)
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP + bits, min(bits - 6, 8))
    return packer.compress(body) + packer.flush()


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds of a Retry-After header, a number or an HTTP date; None if it is absent or invalid.

    `now` is the wall clock, in seconds since the epoch; None: the present.
    """
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


def transport_to(
    base_url: str,
    client: HttpClient | Callable[[], HttpClient] | None = None,
    *,
    certificate: str | None = None,
    reads: tuple[str, ...] = ("html",),
) -> Transport | ClientTransport | FetchTransport:
    """Return what posts to an address: through the user's own client, if there is one, which then decides on trust."""
    if sys.platform == "emscripten":
        from .fetching import FetchTransport

        return FetchTransport(base_url, reads=reads)
    if client is None:
        return Transport(base_url, certificate=certificate, reads=reads)
    from .through_client import ClientTransport

    return ClientTransport(base_url, client, reads=reads)
