"""Reads along in botocore's streams, which remain the user's objects."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ..._base.aio import is_async
from ..._base.guard import Guarded
from .._stream import StreamReader, weakly

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._record.model import Answer
    from .._call import ModelCall

_BODY_MAX = 16_777_216  # bytes of a body that are kept to be read


def follow_events(call: ModelCall, stream: Any) -> None:
    """Read along in an event stream. It parses each event for the user, and the parsed event is read here.

    No reference here keeps the stream alive: a dropped stream ends the call.
    """
    reader = StreamReader(call, stream._event_generator, are_raw=True)
    kind, alive = type(stream), weakref.proxy(stream)
    if is_async(kind._parse_event):

        async def parse_async(event: Any) -> Any:
            try:
                parsed = await kind._parse_event(alive, event)
            except BaseException as error:
                reader.end(error)
                raise
            reader.see(parsed)
            return parsed

        stream._parse_event = parse_async
    else:

        def parse(event: Any) -> Any:
            try:
                parsed = kind._parse_event(alive, event)
            except BaseException as error:
                reader.end(error)
                raise
            reader.see(parsed)
            return parsed

        stream._parse_event = parse
    stream._event_generator = reader


def follow_body(call: ModelCall, body: Any, read: Callable[[bytes], Answer]) -> None:
    """Keep what the user reads of a body, and read the answer from it when it is complete.

    Our `read` holds the body: in `invoke_model(...)["body"].read()` nothing else does. It is removed at the end.
    """
    reader = _Body(call, read, getattr(body, "_content_length", None))
    theirs = body.read
    if is_async(theirs):

        async def read_async(amt: int | None = None) -> Any:
            try:
                data = await theirs(amt)
            except BaseException as error:
                reader.end(error)
                raise
            with Guarded("the body of an answer"):
                if reader.add(data, is_last=amt is None or amt < 0):
                    vars(body).pop("read", None)
            return data

        body.read = read_async
    else:

        def read_sync(amt: int | None = None) -> Any:
            try:
                data = theirs(amt)
            except BaseException as error:
                reader.end(error)
                raise
            with Guarded("the body of an answer"):
                if reader.add(data, is_last=amt is None or amt < 0):
                    vars(body).pop("read", None)
            return data

        body.read = read_sync


class _Body:
    """What has been read of a body so far. Ends the call when it is complete, fails, or is dropped."""

    def __init__(self, call: ModelCall, read: Callable[[bytes], Answer], length: object) -> None:
        self._call, self._read = call, read
        self._left = int(length) if isinstance(length, (int, str)) and str(length).isdigit() else None
        self._parts: list[bytes] = []
        self._size = 0
        call.span.root.open[id(call)] = weakly(self.end)  # the invocation may end first

    def add(self, data: bytes, *, is_last: bool) -> bool:
        """Add what the user has read; True if that was the last."""
        self._size += len(data)
        if self._size <= _BODY_MAX:
            self._parts.append(data)
        if is_last or not data or self._size == self._left:
            self.end()
            return True
        return False

    def end(self, error: BaseException | None = None) -> None:
        """End the call. Never raises, except what a signal handler raises."""
        if not self._call.once.locked():
            self._call.end_with(lambda: self._read(b"".join(self._parts)), error)

    def __del__(self) -> None:
        if "_parts" in vars(self):
            self.end()
