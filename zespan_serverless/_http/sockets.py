"""Connects to a host, and closes a socket only while its descriptor still stands for it."""

from __future__ import annotations

import errno
import os
import select
import selectors  # here: `socket` imports it too, but only when it needs it since Python 3.14; a fork might meet that
import socket
import time
from typing import TYPE_CHECKING, Any

from .._base import identity
from .._base.guard import pass_on

if TYPE_CHECKING:
    from collections.abc import Sequence

_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))
_STAGGER = 0.25  # seconds before the next address is tried as well; https://www.rfc-editor.org/rfc/rfc8305#section-8


class Socket(socket.socket):
    """A socket that is used and closed only while its descriptor still stands for it.

    Before this thread goes on after the system call that opens the socket, other code may have closed the descriptor
    and opened a file, which has the number now. Then the constructor raises OSError.
    """

    __slots__ = ("_identity",)

    def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, kind, protocol, fileno)
        self._identity = identity(self.fileno())
        try:
            self.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        except OSError:
            self.detach()
            raise

    @property
    def is_ours(self) -> bool:
        """Whether the descriptor still stands for this socket."""
        return identity(self.fileno()) == self._identity

    def wait(self, timeout: float | None, *, to_send: bool = False) -> bool:
        """Whether there is something to read, or room to send, within `timeout` seconds; None: wait for ever.

        Reads nothing, because the descriptor may belong to other code by then.
        """
        number, poll = self.fileno(), getattr(select, "poll", None)
        if poll is None:  # Windows, eventlet
            return any(select.select([] if to_send else [number], [number] if to_send else [], [], timeout))
        waiting = poll()
        waiting.register(number, select.POLLOUT if to_send else select.POLLIN)
        return bool(waiting.poll(None if timeout is None else timeout * 1000))

    def close(self) -> None:
        """Close it, or forget the descriptor if it belongs to other code."""
        if self.is_ours:
            super().close()
        else:
            self.detach()


def connect(host: str, port: int, timeout: float | None = None, first: object = None, last: object = None) -> Socket:
    """Return a connected socket, which does not block: see `Socket.wait`.

    Raises OSError if the connection takes more than `timeout` seconds (None: no limit).

    If the host has several addresses, the first one that answers is taken, so that an unreachable one costs a moment
    and not the whole timeout. `first` and `last` are the addresses to begin and to end with.
    """
    # As bytes: for a text Python imports its codec `idna`, which takes 14 ms; a child that is forked meanwhile hangs.
    name: Any = host.encode() if host.isascii() else host
    addresses = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    if len(addresses) == 1:
        connected = _connect_to(addresses[0], timeout)
    else:
        connected = _race(sorted(addresses, key=lambda one: (one[4] == last, one[4] != first)), timeout)
    try:
        connected.settimeout(0)  # once, because each change is a system call
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        pass_on(error)
    return connected


def _connect_to(address: Sequence[Any], timeout: float | None) -> Socket:
    sock = Socket(*address[:3])
    try:
        sock.settimeout(timeout)
        sock.connect(address[4])
    except BaseException:
        sock.close()
        raise
    return sock


def _race(addresses: Sequence[Sequence[Any]], timeout: float | None) -> Socket:
    """Try one address after the other, without waiting long for any of them; https://www.rfc-editor.org/rfc/rfc8305."""
    stagger = _STAGGER if timeout is None else min(_STAGGER, timeout / 2 / len(addresses))
    deadline = None if timeout is None else time.monotonic() + timeout
    # These two selectors have no descriptor of their own.
    selector = selectors.PollSelector() if hasattr(selectors, "PollSelector") else selectors.SelectSelector()
    error: OSError = TimeoutError("timed out")
    untried = list(addresses)
    try:
        while untried or selector.get_map():
            if untried:
                try:
                    _begin(selector, untried.pop(0))
                except OSError as refused:
                    pass_on(refused)
                    error = refused
                    continue
            wait = None if deadline is None else max(deadline - time.monotonic(), 0)
            if untried:
                wait = stagger if wait is None else min(stagger, wait)
            ready = selector.select(wait)
            for key, _ in ready:
                candidate: Any = key.fileobj
                selector.unregister(candidate)
                code = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return candidate  # type: ignore[no-any-return]
                error = OSError(code, os.strerror(code))
                candidate.close()
            if not ready and not untried:
                raise TimeoutError("timed out")
        raise error
    finally:
        for key in [*selector.get_map().values()]:
            key.fileobj.close()  # type: ignore[union-attr]


def _begin(selector: selectors.BaseSelector, address: Sequence[Any]) -> None:
    """Begin to connect to an address, and let `selector` wait for its end. Raises OSError if it fails at once."""
    sock = Socket(*address[:3])  # fails, for example, if this machine has no IPv6
    selector.register(sock, selectors.EVENT_WRITE)
    sock.settimeout(0)
    code = sock.connect_ex(address[4])
    if code and code not in _IN_PROGRESS:
        selector.unregister(sock)
        sock.close()
        raise OSError(code, os.strerror(code))
