"""A connection on which a model answers in messages: each answer becomes one record.

A room has a subclass of `Conversation` that reads the messages. If it fails, that is logged and has no other effect.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import _process
from .._base.guard import Guarded, pass_on
from ._call import ModelCall
from ._request import Request
from ._stream import StreamReader
from ._wrap import Taker, observed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._request import Endpoint
    from ._wrap import Observer

_PLACE = "a connection to a model"


class Conversation:
    """The state of one connection.

    `asked` are the answers that have not begun, in the order of the user's requests; `open` are those that have begun,
    by id.
    """

    def __init__(self) -> None:
        self.asked: list[StreamReader] = []
        self.open: dict[str, StreamReader] = {}

    def sent(self, message: Any) -> StreamReader | None:
        """Read a message that is about to be sent. Return the reader of the answer that it requests."""
        raise NotImplementedError

    def received(self, message: Any) -> None:
        """Read a message of the model, which the SDK has parsed."""
        raise NotImplementedError

    def begin(self, request_of: Callable[[], Request]) -> StreamReader | None:
        """Begin an answer in the current trace. None if telemetry is off, or has failed."""
        container = _process.current()
        if container is None:
            return None
        try:
            call = ModelCall(container, request_of())
            call.begun().pause()  # no HTTP request belongs to it
            return StreamReader(call, None, are_raw=True)
        except Exception as error:
            pass_on(error)
            container.lost(error)
            return None

    def end(self, error: BaseException | None = None) -> None:
        """End all answers, because no more messages will arrive."""
        readers = [*self.asked, *self.open.values()]
        self.asked.clear()
        self.open.clear()
        for reader in readers:
            reader.end(error)


class Connect(Request):
    """The request that opens a connection. It becomes a record only if it fails."""

    __slots__ = ("_conversation",)

    def __init__(self, endpoint: Endpoint, provider: str, model: Any, conversation: Conversation) -> None:
        super().__init__(endpoint, provider, model)
        self._conversation = conversation

    def begun(self, container: _process.Container, method: Any) -> Taker:
        began = time.perf_counter()

        def done(connection: Any, error: BaseException | None) -> Any:
            with Guarded(_PLACE):
                if error is None:
                    attend(connection, self._conversation)
                elif (reader := self._conversation.begin(lambda: self)) is not None:
                    reader.call.began = began
                    reader.end(error)
            return connection

        return Taker(done)


def attend(connection: Any, conversation: Conversation) -> None:
    """Pass the messages on an SDK's connection to a conversation.

    The methods of this object are replaced, because the classes of SDKs and users have nothing in common.
    """

    def sending(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observer | None:
        reader = None
        with Guarded(_PLACE):
            reader = conversation.sent(args[0] if args else kwargs.get("event"))
        return None if reader is None else Taker(lambda result, error: _sent(conversation, reader, result, error))

    def parsed(message: Any, error: BaseException | None) -> Any:
        if error is None:
            with Guarded(_PLACE):
                conversation.received(message)
        return message

    def read(data: Any, error: BaseException | None) -> Any:
        kind = "" if error is None else type(error).__name__
        if kind.startswith("ConnectionClosed"):  # to cancel a read, or to interrupt it, leaves the connection open
            conversation.end(None if kind == "ConnectionClosedOK" else error)
        return data

    def closing(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        conversation.end()

    parsing, reading = Taker(parsed), Taker(read)
    _observe(connection, "send", sending)
    _observe(connection, "parse_event", lambda args, kwargs: parsing)
    _observe(connection, "recv_bytes", lambda args, kwargs: reading)
    _observe(connection, "close", closing)


def _observe(connection: Any, name: str, begin: Any) -> None:
    setattr(connection, name, observed(getattr(connection, name), begin))


def _sent(conversation: Conversation, reader: StreamReader, result: Any, error: BaseException | None) -> Any:
    if error is not None:
        with suppress(ValueError):  # its answer has begun
            conversation.asked.remove(reader)  # otherwise the next answer would be taken for its own
        reader.end(error)
    return result
