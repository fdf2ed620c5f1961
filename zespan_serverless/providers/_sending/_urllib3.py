"""The sockets of botocore's urllib3 connections: no wait is longer than the current call may take."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from . import limited, replace

if TYPE_CHECKING:
    from . import Attempts

_LEAST = 0.001  # a socket with a timeout of 0 does not block


def patch_sockets() -> None:
    """Patch the connections of botocore's pools; the rest of urllib3 stays unchanged."""
    mixin = sys.modules["botocore.awsrequest"].AWSConnection
    for name in ("connect", "request", "getresponse"):

        def inherited(connection: Any, *args: Any, name: str = name, **kwargs: Any) -> Any:
            return getattr(super(mixin, connection), name)(*args, **kwargs)

        replace(mixin, name, _answered if name == "getresponse" else _limited, inherited)


def _limited(theirs: Any) -> Any:
    def limit(connection: Any, *args: Any, **kwargs: Any) -> Any:
        attempts = limited()
        if attempts is None:
            return theirs(connection, *args, **kwargs)
        own = connection.timeout
        connection.timeout = _shorter(own, attempts)
        try:
            if connection.sock is not None:  # kept from an earlier request
                connection.sock.settimeout(connection.timeout)
            return theirs(connection, *args, **kwargs)
        finally:
            connection.timeout = own

    return limit


def _answered(theirs: Any) -> Any:
    def getresponse(connection: Any, *args: Any, **kwargs: Any) -> Any:
        attempts = limited()
        if attempts is None:
            return theirs(connection, *args, **kwargs)
        kind = connection.response_class

        def timed(sock: Any, *args: Any, **kwargs: Any) -> Any:
            response = kind(sock, *args, **kwargs)
            response.fp = io.BufferedReader(_Timed(response.fp.detach(), sock, attempts))
            return response

        connection.response_class = timed
        try:
            return theirs(connection, *args, **kwargs)
        finally:
            connection.response_class = kind

    return getresponse


def _shorter(own: Any, attempts: Attempts) -> float:
    left = max(attempts.left, _LEAST)
    return min(own, left) if isinstance(own, (int, float)) else left


class _Timed(io.RawIOBase):
    """The bytes of one answer; each wait for them is as long as the call may take."""

    def __init__(self, raw: Any, sock: Any, attempts: Attempts) -> None:
        self._raw, self._socket, self._attempts = raw, sock, attempts
        self._own = self._set = sock.gettimeout()

    def readinto(self, buffer: Any) -> Any:
        if self._attempts.left <= 0:
            raise TimeoutError("timed out")
        if self._socket.gettimeout() != self._set:  # by the user, with `set_socket_timeout`
            self._own = self._socket.gettimeout()
        self._socket.settimeout(_shorter(self._own, self._attempts))
        self._set = self._socket.gettimeout()
        return self._raw.readinto(buffer)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_raw" not in vars(self):
            raise AttributeError(name)
        return getattr(self._raw, name)  # botocore's `set_socket_timeout` reads `_sock`
