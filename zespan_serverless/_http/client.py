"""HTTP/1.1 over one connection that another thread can abort at any stage. Requests are sent whole, answers are short.

That is all it takes to post events, and to ask Lambda's sandbox for the next one. Reasons not to use http.client: it
cannot be aborted from another thread, does not tell half a head from a whole one, does not read an answer that arrives
before the request has been sent, and is patched by tracers (X-Ray's), which would report our requests as the user's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from .._base.guard import pass_on
from .answer import (
    BODY_MAX,
    MALFORMED,
    Answer,
    NoAnswer,
    TornAnswer,
    content_length,
    find_blank_line,
    is_chunked,
    parse_chunks,
    parse_head,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from .sockets import Socket

    class Layer(Protocol):
        """A layer that bytes pass through on their way to the socket and back: TLS."""

        ended: bool

        def handshake(self) -> bool: ...
        def feed(self, data: bytes) -> None: ...
        def read(self) -> bytes: ...
        def write(self, data: bytes) -> None: ...
        def pending(self) -> bytes: ...


_HEAD_MAX = 65_536  # bytes
_INTERIM_MAX = 16  # answers with a status below 200 before the final one
_READ_SIZE = 65_536  # bytes
_SEND_PAUSE = 0.05  # seconds between two checks for an early answer, while the peer accepts no more of the request


class Channel:
    """A connection that carries one request at a time, each followed by its answer. Used by one thread; see `abort`.

    Other code may close every descriptor that it finds open, as daemons do at their start. Our number is then given to
    the next file or socket that the process opens. So the identity of the descriptor is checked before each use, and a
    descriptor that has changed its identity is neither used nor closed.
    """

    def __init__(self, connected: Socket) -> None:
        self.socket = connected
        self.reusable = True
        """Whether another request may follow."""
        self.deadline: float | None = None
        """On the monotonic clock: when to stop waiting for the peer. None: never."""
        self._asked: tuple[str, str, Mapping[str, str]] | None = None  # of the last request: method, target, headers
        self._head = b""  # of the same, without the end
        self._has_arrived = False  # whether `wait` has seen bytes that are not read yet
        self._layers: list[Layer] = []  # the one next to the socket first
        self._unread = b""  # bytes that have come through the layers
        self._peer_closed = False
        self._send_failed: OSError | bool = False  # whether, and if known why, a request was not sent to its end
        self._body_headers: Mapping[str, str] | None = None  # of an answer whose body has not been read to its end

    def secure(self, layer: Layer) -> None:
        """Shake hands with the peer, and pass all further bytes through this layer."""
        layer.feed(self._unread)
        self._layers.append(layer)
        self._unread, self.reusable = b"", True
        while not self._handshake(layer):
            self._send()
            self._read_more()
            if self._peer_closed:
                raise NoAnswer("the peer closed the connection during the TLS handshake")
        self._send()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request. `headers` must include Host. Raises ValueError for a header that is not one line of Latin-1.

        Sending stops without an error if the peer answers meanwhile with a refusal, or accepts no more bytes. Then
        `receive` returns the answer, or raises the error.
        """
        if self._asked != (method, target, headers):  # usually it is the same as before, but for the body
            self._head = _request_head(method, target, headers)
            self._asked = method, target, dict(headers)
        length = b"content-length: %d\r\n" % len(body) if body else b""
        self._send(self._through_layers(self._head + length + b"\r\n" + body))

    def wait(self) -> None:
        """Return when an answer has begun to arrive."""
        self._wait_readable(self._time_left())
        self._has_arrived = True

    def receive(self, *, has_body: bool = True, whole: bool = True) -> Answer:
        """Receive the answer to the request. Raises OSError if there is none.

        `has_body` is False for the answer to a CONNECT. With `whole=False` the body is not waited for, and can be read
        later with `read_body`. A body that ends too early is returned as it is, because the outcome is in the head; the
        connection is then not reusable.
        """
        for _ in range(_INTERIM_MAX):
            version, status, headers = self._read_head()
            if status >= 200:
                break
        else:
            raise TornAnswer("too many answers with a status below 200")
        connection = headers.get("connection", "").lower()
        is_kept = "close" not in connection and (version != "HTTP/1.0" or "keep-alive" in connection)
        self.reusable = is_kept and not self._send_failed
        if not has_body or status in (204, 304):
            return Answer(status, headers, b"")
        self._body_headers = headers
        return Answer(status, headers, self.read_body() if whole else self._take_body() or b"")

    def read_body(self) -> bytes:
        """Wait for the body of the received answer, and return it as far as it has arrived; nothing if it was taken."""
        if self._body_headers is None:
            return b""
        while (body := self._take_body()) is None:
            try:
                self._read_more()
            except OSError as error:  # a reset, or the deadline
                pass_on(error)
                self._peer_closed = True
        return body

    def has_no_stray_bytes(self) -> bool:
        """Whether another request can follow: the last answer is complete, and no bytes have arrived after it.

        The next request would take stray bytes as its response.
        """
        try:
            while not self._peer_closed and len(self._unread) < BODY_MAX:
                self._read(0)
        except BlockingIOError:
            pass
        except OSError as error:
            pass_on(error)
            return False
        is_complete = self._body_headers is None or self._take_body() is not None
        return is_complete and self.reusable and not (self._unread or self._peer_closed)

    def close(self) -> None:
        """Close the connection, by the thread that uses it."""
        self.socket.close()

    def abort(self) -> None:
        """Make the thread that uses this channel stop waiting for the peer. Called by another thread."""
        if self.socket.is_ours:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                pass_on(error)

    def __del__(self) -> None:
        try:
            ours = self.socket.is_ours
        except TypeError:  # the interpreter is shutting down, and has cleared our functions
            ours = False
        if not ours:
            self.socket.detach()  # else the socket would close a file of other code when it is collected

    # ------------------------------------------------------------------ bytes

    def _time_left(self) -> float | None:
        if self.deadline is None:
            return None
        time_left = self.deadline - time.monotonic()
        if time_left <= 0:
            raise TimeoutError("no answer in time")
        return time_left

    def _read_more(self) -> None:
        """Wait for bytes from the peer until the deadline, and send what the layers have to answer."""
        self._read(self._time_left())
        if self._layers:
            self._send()

    def _handshake(self, layer: Layer) -> bool:
        """Whether the handshake is complete."""
        try:
            return layer.handshake()
        except OSError:
            self._send()  # the alert that tells the peer why it has failed
            raise

    def _read(self, timeout: float | None) -> None:
        """Read bytes that arrive within `timeout` seconds; BlockingIOError or TimeoutError if there are none."""
        try:
            if timeout != 0 and not self._has_arrived:
                self._wait_readable(timeout)
            self._has_arrived = False
            self._check_ours()
            data = self.socket.recv(_READ_SIZE)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            pass_on(error)
            if not self._unread:
                raise self._send_failed if isinstance(self._send_failed, OSError) else error from None
            data = b""  # a reset: what has arrived before is valid
        self._peer_closed = not data
        for layer in self._layers:
            layer.feed(data)
            data = layer.read()
            self._peer_closed |= layer.ended
        self._unread += data

    def _wait_readable(self, timeout: float | None) -> None:
        """Wait until there is something to read, or raise TimeoutError. Then the next use checks the descriptor."""
        if not self.socket.wait(timeout):
            raise TimeoutError("no answer in time")

    def _check_ours(self) -> None:
        if not self.socket.is_ours:
            self.close()
            raise NoAnswer("other code has closed the connection's descriptor")

    def _send(self, data: bytes = b"") -> None:
        """Send these bytes, and then what the layers have to send: parts of a handshake, answers to a request for new
        keys. Stops when the peer accepts no more, see `send`."""
        while not self._send_failed and (data or (data := self._through_layers())):
            self._send_all(memoryview(data))
            data = b""

    def _send_all(self, data: memoryview) -> None:
        timeout, waited = self._time_left(), 0.0
        while data:
            self._check_ours()
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                pause = min(_SEND_PAUSE, self._time_left() or _SEND_PAUSE)
                if not self.socket.wait(pause, to_send=True):
                    waited += pause
                    if timeout is not None and waited >= timeout:  # the clock may stand still
                        raise TimeoutError("no answer in time") from None
            except OSError as error:  # the peer has closed the connection, perhaps after an answer that says why
                pass_on(error)
                self._send_failed = error
                return
            if data and self._is_refused():
                self._send_failed = True
                return

    def _through_layers(self, data: bytes = b"") -> bytes:
        """Return these bytes, and those that the layers add, as the socket has to send them."""
        for layer in reversed(self._layers):
            if data:
                layer.write(data)
            data = layer.pending()
        return data

    def _is_refused(self) -> bool:
        """Whether the answer to a request that is still being sent makes it pointless to send the rest."""
        with contextlib.suppress(BlockingIOError):
            self._read(0)
        return self._peer_closed or self._unread[9:10] not in (b"", b"1", b"2")  # the status begins at the tenth byte

    # ------------------------------------------------------------------ HTTP

    def _read_head(self) -> tuple[str, int, dict[str, str]]:
        """Return (version, status, headers by lower-case name) of the next response."""
        if not self._unread and not self._peer_closed:
            self._read_more()
        while not (blank_line := find_blank_line(self._unread))[1]:
            begun = self._unread[:7]
            if begun != b"HTTP/1."[: len(begun)]:
                raise NoAnswer(f"the answer is not HTTP: {self._unread[:50]!r}")
            if self._peer_closed or len(self._unread) > _HEAD_MAX:
                if isinstance(self._send_failed, OSError) and not begun:
                    raise self._send_failed
                if not begun:
                    raise NoAnswer("the peer closed the connection without an answer")
                raise TornAnswer(f"the answer ends within its headers, with {self._unread[-50:]!r}")
            self._read_more()
        end, body_start = blank_line
        head = parse_head(self._unread[:end])
        self._unread = self._unread[body_start:]
        return head

    def _take_body(self) -> bytes | None:
        """Return the body, or as much of it as is read; None if more of it has to arrive."""
        headers, unread = self._body_headers or {}, self._unread
        if is_chunked(headers):
            body, end = parse_chunks(unread)
        else:
            length = content_length(headers)
            body, end = unread[:length], length if len(unread) >= length else None
            self.reusable &= length <= BODY_MAX
        if end is None and not self._peer_closed and len(body) < BODY_MAX and len(unread) < 2 * BODY_MAX:
            return None
        is_complete = end is not None and end != MALFORMED
        self.reusable &= is_complete and len(body) <= BODY_MAX
        self._body_headers, self._unread = None, unread[end:] if is_complete else b""
        return body[:BODY_MAX]


def _request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request, without the blank line that ends it. Raises ValueError, see `Channel.send`."""
    head = "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items())])
    if not head.count("\n") == head.count("\r") == len(headers) + 1:
        raise ValueError("a header contains a line break")
    return head.encode("latin-1")
