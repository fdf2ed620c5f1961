"""HTTP/1.1 over a connection of our own: requests that are sent whole, answers that are short.

That is all it takes to post events, and to ask Lambda's sandbox for the next one. Unlike http.client it can be cut off
from another thread at any stage, tells half an answer's head from a whole one, reads an answer that comes before the
request has been sent, and is not seen by tracers of http.client (X-Ray's): what we send is no work of the user's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from .._base import Value
from .._base.guard import pass_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Protocol

    class Layer(Protocol):
        """What bytes pass through on their way to the socket and back: TLS."""

        ended: bool

        def handshake(self) -> bool: ...
        def feed(self, data: bytes) -> None: ...
        def read(self) -> bytes: ...
        def write(self, data: bytes) -> None: ...
        def pending(self) -> bytes: ...


_HEAD_MAX = 65_536  # bytes
_HEADS_MAX = 16  # 1xx before an answer
_BODY_MAX = 65_536  # bytes that are read of a body; more, and the connection is not worth keeping
_PIECE = 65_536  # bytes that are read at once
_LOOK = 0.05  # seconds between two looks for an answer while the other side takes no more of the request
_STAGGER = 0.25  # seconds that one address of several is alone; https://www.rfc-editor.org/rfc/rfc8305#section-8


class NoAnswer(ConnectionError):
    """The connection has ended, or what came is not HTTP."""


class TornAnswer(OSError):
    """An answer had begun, and has not come as far as its headers' end."""


class Answer(Value):
    """`headers` by lower-case name. `body`: what has come of it, of 64 KiB at most."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __iter__(self) -> Iterator[Any]:
        return iter((self.status, self.headers, self.body))


class Channel:
    """A connection. Not more than one request at a time, each followed by its answer.

    A program may close every file it finds open, as daemons do, and the next file or socket that it opens gets our
    number. So nothing is done to a socket's number before a look whether it is still our socket's.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.reusable = True
        """Whether another request may follow."""
        self.until: float | None = None
        """On the monotonic clock, when to give up whatever is waited for; None: never."""
        self._inode = _inode(connected)
        self._layers: list[Layer] = []  # the one next to the socket first
        self._come = b""  # of what is in the layers, and has not been read
        self._ended = False
        self._stopped: OSError | bool = False  # whether, or why, a request was not sent to its end
        self._headers: Mapping[str, str] | None = None  # of an answer whose body has not been read to its end

    def secure(self, layer: Layer) -> None:
        """Send all that follows through this layer, once it has shaken hands with the other side."""
        layer.feed(self._come)
        self._layers.append(layer)
        self._come, self.reusable = b"", True
        while not self._shakes(layer):
            self._push()
            self._wait()
            if self._ended:
                raise NoAnswer("closed while shaking hands")
        self._push()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request; `headers` has its Host. Raises ValueError for a header that is not one line of Latin-1.

        It is left at what has been sent if the other side refuses it meanwhile, or takes no more: `receive` tells what
        it has said.
        """
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body:
            lines.append(f"content-length: {len(body)}")
        if any("\n" in line or "\r" in line for line in lines):
            raise ValueError("a header with a line break")
        lines += ["", ""]
        self._push(_through(self._layers, "\r\n".join(lines).encode("latin-1") + body))

    def wait(self) -> None:
        """Return when an answer has begun to arrive."""
        self._arrived(self._left())

    def receive(self, *, has_body: bool = True, whole: bool = True) -> Answer:
        """The answer. OSError if there is none.

        `has_body`: False for what a CONNECT is answered with. `whole`: False to have its body left for later, unless it
        has come already: see `rest`. An answer whose body is torn is one: what it says stands in its head. The
        connection is then not reusable.
        """
        for _ in range(_HEADS_MAX):
            version, status, headers = self._head()
            if status >= 200:
                break
        else:
            raise TornAnswer("1xx without end")
        ends = headers.get("connection", "").lower()
        stays = "close" not in ends and (version != "HTTP/1.0" or "keep-alive" in ends)
        self.reusable = stays and not self._stopped
        if not has_body or status in (204, 304):
            return Answer(status, headers, b"")
        self._headers = headers
        return Answer(status, headers, self.rest() if whole else self._body() or b"")

    def rest(self) -> bytes:
        """The body of the answer that has been received, or what there is to be had of it."""
        while (body := self._body()) is None:
            try:
                self._wait()
            except OSError as error:  # reset, or out of time
                pass_on(error)
                self._ended = True
        return body

    def is_quiet(self) -> bool:
        """Whether another request can follow: the last answer has come to its end, and nothing that nobody has asked
        for, which the next request would take for its answer."""
        if not self.is_ours:
            return False
        try:
            while not self._ended and len(self._come) < _BODY_MAX:
                self._pull(0)
        except BlockingIOError:
            pass
        except OSError as error:
            pass_on(error)
            return False
        over = self._headers is None or self._body() is not None
        return over and self.reusable and not (self._come or self._ended)

    @property
    def is_ours(self) -> bool:
        """Whether the socket's number still stands for our socket."""
        return _inode(self.socket) == self._inode

    def close(self) -> None:
        close(self.socket, self._inode)

    def cut(self) -> None:
        """From another thread: make the one that uses this end, whatever it waits for."""
        if self.is_ours:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                pass_on(error)

    def __del__(self) -> None:
        try:
            ours = self.is_ours
        except TypeError:  # the interpreter is at its end, and has taken our functions away
            ours = False
        if not ours:
            self.socket.detach()  # else it closes a file of somebody's when it is collected

    # ------------------------------------------------------------------ bytes

    def _left(self) -> float | None:
        if self.until is None:
            return None
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        return left

    def _wait(self) -> None:
        """Take in something, in the time that is left."""
        self._pull(self._left())
        self._push()

    def _shakes(self, layer: Layer) -> bool:
        """Whether the handshake is over."""
        try:
            return layer.handshake()
        except OSError:
            self._push()  # what tells the other side why it has failed
            raise

    def _pull(self, timeout: float | None) -> None:
        """Take in what comes within `timeout` seconds; BlockingIOError or TimeoutError if nothing does."""
        try:
            self._arrived(timeout)
            data = self.socket.recv(_PIECE)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            pass_on(error)
            if not self._come:
                raise self._stopped if isinstance(self._stopped, OSError) else error from None
            data = b""  # reset: what has come before stands
        self._ended = not data
        for layer in self._layers:
            layer.feed(data)
            data = layer.read()
            self._ended |= layer.ended
        self._come += data

    def _arrived(self, timeout: float | None) -> None:
        """Wait until there is something to read, without taking it: by then the number may be somebody else's."""
        self._claim()
        self.socket.settimeout(timeout)
        self.socket.recv(1, socket.MSG_PEEK)
        self._claim()

    def _claim(self) -> None:
        if not self.is_ours:
            self.close()
            raise NoAnswer("the connection was closed behind our back")

    def _push(self, data: bytes = b"") -> None:
        """Send these bytes, and what the layers want to say of their own accord; or stop, see `send`."""
        while not self._stopped and (data or (data := self._said())):
            self._send_all(memoryview(data))
            data = b""

    def _send_all(self, data: memoryview) -> None:
        time_left, waited = self._left(), 0.0
        while data:
            self._claim()
            pause = min(_LOOK, self._left() or _LOOK)
            self.socket.settimeout(pause)
            try:
                data = data[self.socket.send(data) :]
            except TimeoutError as error:
                pass_on(error)
                waited += pause
                if time_left is not None and waited >= time_left:  # the clock may stand still
                    raise
            except OSError as error:  # the other side has hung up, perhaps after saying why
                pass_on(error)
                self._stopped = error
                return
            if data and self._is_refused():
                self._stopped = True
                return

    def _said(self) -> bytes:
        """What the layers have to say: to a request for new keys, say."""
        data = b""
        for layer in reversed(self._layers):
            if data:
                layer.write(data)
            data = layer.pending()
        return data

    def _is_refused(self) -> bool:
        """Whether an answer to a request that is still being sent makes sending the rest of it pointless."""
        with contextlib.suppress(BlockingIOError):
            self._pull(0)
        return self._ended or self._come[9:10] not in (b"", b"1", b"2")  # a status begins at the tenth byte

    # ------------------------------------------------------------------ HTTP

    def _head(self) -> tuple[str, int, dict[str, str]]:
        """(version, status, headers by lower-case name)."""
        while not (found := _blank_line(self._come))[1]:
            begun = self._come[:7]
            if begun != b"HTTP/1."[: len(begun)]:
                raise NoAnswer(f"no HTTP: {self._come[:50]!r}")
            if self._ended or len(self._come) > _HEAD_MAX:
                if isinstance(self._stopped, OSError) and not begun:
                    raise self._stopped
                if not begun:
                    raise NoAnswer("closed without an answer")
                raise TornAnswer(f"ends in its head, with {self._come[-50:]!r}")
            self._wait()
        end, rest = found
        first, *lines = self._come[:end].decode("latin-1").split("\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise NoAnswer(f"no HTTP: {first[:50]!r}")
        if not (status[:3].isascii() and status[:3].isdigit() and len(status[:3]) == 3):
            raise TornAnswer(f"not a status: {first[:50]!r}")
        self._come = self._come[rest:]
        pairs = (line.partition(":") for line in lines)
        return version, int(status[:3]), {name.strip("\r").lower(): value.strip() for name, _, value in pairs}

    def _body(self) -> bytes | None:
        """The body, or what is read of it; None if more of it is to come."""
        headers, come = self._headers or {}, self._come
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body, end = _chunks(come)
        else:
            try:
                length = max(int(headers["content-length"]), 0)
            except (KeyError, ValueError):  # it ends with the connection, if ever
                length = _BODY_MAX + 1
            body, end = come[:length], length if len(come) >= length else None
            self.reusable &= length <= _BODY_MAX
        if end is None and not self._ended and len(body) < _BODY_MAX and len(come) < 2 * _BODY_MAX:
            return None
        self.reusable &= end is not None and end >= 0 and len(body) <= _BODY_MAX
        self._headers, self._come = None, come[end:] if end is not None and end >= 0 else b""
        return body[:_BODY_MAX]


def close(made: socket.socket, inode: tuple[int, int] | None) -> None:
    """Close a socket, unless its number is no longer its own."""
    if _inode(made) == inode:
        made.close()
    else:
        made.detach()


def connect(
    host: str, port: int, timeout: float | None = None, first: object = None, last: object = None
) -> socket.socket:
    """A connection, made within `timeout` seconds. None: no limit. `first`, `last`: the addresses to begin and to end
    with, if there are several.

    The first address that answers is taken: that one of them leads nowhere costs a moment, not all the time there is.
    """
    # As bytes: for a text Python imports its codec `idna`, which takes 14 ms; a child that is forked meanwhile hangs.
    name: Any = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    if len(found) == 1:
        connected = _reach(found[0], timeout)
    else:
        connected = _race(sorted(found, key=lambda one: (one[4] == last, one[4] != first)), timeout)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        pass_on(error)
    return connected


def _reach(address: Sequence[Any], timeout: float | None) -> socket.socket:
    made = socket.socket(*address[:3])
    inode = _inode(made)
    try:
        made.settimeout(timeout)
        made.connect(address[4])
    except BaseException:
        close(made, inode)
        raise
    return made


def _race(addresses: Sequence[Sequence[Any]], timeout: float | None) -> socket.socket:
    """Try addresses one after the other, each alone for a moment only; https://www.rfc-editor.org/rfc/rfc8305."""
    import errno
    import selectors  # which `socket` has loaded

    under_way = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))
    pause = _STAGGER if timeout is None else min(_STAGGER, timeout / 2 / len(addresses))
    until = None if timeout is None else time.monotonic() + timeout
    # Neither has a file number of its own.
    selector = selectors.PollSelector() if hasattr(selectors, "PollSelector") else selectors.SelectSelector()
    error: OSError = TimeoutError("timed out")
    untried = list(addresses)
    try:
        while untried or selector.get_map():
            if untried:
                family, kind, protocol, _, address = untried.pop(0)
                try:
                    made = socket.socket(family, kind, protocol)
                except OSError as refused:  # no IPv6 here
                    pass_on(refused)
                    error = refused
                    continue
                selector.register(made, selectors.EVENT_WRITE, _inode(made))
                made.settimeout(0)
                code = made.connect_ex(address)
                if code and code not in under_way:
                    error = OSError(code, os.strerror(code))
                    close(made, selector.unregister(made).data)
                    continue
            left = None if until is None else max(until - time.monotonic(), 0)
            wait = left if not untried else pause if left is None else min(pause, left)
            ready = selector.select(wait)
            for key, _ in ready:
                connected: Any = key.fileobj
                selector.unregister(connected)
                code = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return connected  # type: ignore[no-any-return]
                error = OSError(code, os.strerror(code))
                close(connected, key.data)
            if not ready and not untried:
                raise TimeoutError("timed out")
        raise error
    finally:
        for key in [*selector.get_map().values()]:
            close(key.fileobj, key.data)  # type: ignore[arg-type]


def _inode(made: socket.socket, fstat: Any = os.fstat) -> tuple[int, int] | None:
    """What a socket's number stands for now. `fstat`: the real one, whatever a test puts into its place later."""
    number = made.fileno()
    if number < 0:
        return None
    try:
        found = fstat(number)
    except OSError as error:  # closed by somebody; or on Windows, where sockets are no files
        pass_on(error)
        return None
    return found.st_dev, found.st_ino


def _through(layers: Sequence[Layer], data: bytes) -> bytes:
    """These bytes as the outermost layer has them sent."""
    for layer in reversed(layers):
        if data:
            layer.write(data)
            data = layer.pending()
    return data


def _blank_line(data: bytes) -> tuple[int, int]:
    """Where a head ends, and where what follows begins; (0, 0) if it does not end."""
    found = [(at, at + len(mark)) for mark in (b"\n\r\n", b"\n\n") if (at := data.find(mark)) >= 0]
    return min(found, default=(0, 0))


def _chunks(data: bytes) -> tuple[bytes, int | None]:
    """The body in these chunks, and where they end; None if they do not, -1 if they are none."""
    body, at = b"", 0
    while (line := data.find(b"\n", at)) >= 0:
        try:
            size = int(data[at:line].partition(b";")[0], 16)
        except ValueError:
            return body, -1
        if size <= 0:
            end = line + 1 + _blank_line(b"\n" + data[line + 1 :])[1] - 1  # of the trailers
            return body, -1 if size else end if end > line else None
        body += data[line + 1 : line + 1 + size]
        at = data.find(b"\n", line + 1 + size) + 1
        if not at:
            break
    return body, None
