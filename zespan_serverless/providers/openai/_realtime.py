"""The Realtime API: what is under way on a connection."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, cast

from .._connection import Connect, Conversation
from .._fields import as_text, field, held_by, items, text_of
from .._request import Request
from ._addresses import provider_of
from ._realtime_events import RESPONSE, TRANSCRIPT, Events, message_of

if TYPE_CHECKING:
    from .._stream import StreamReader

_SAID_MAX = 50  # items of a conversation, which may take an hour
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_ENDS = ("response.done", f"{_TRANSCRIPTION}completed", f"{_TRANSCRIPTION}failed")


def connect(manager: Any) -> Connect:
    """Return the request to open the connection of an SDK's manager, whose attributes are private to its class."""
    held = {name.rpartition("__")[2]: value for name, value in vars(manager).items()}
    provider, model = provider_of(held.get("client")), as_text(held.get("model")) or "unknown"
    return Connect(RESPONSE, provider, model, Session(provider, model))


class Session(Conversation):
    """What is known of one session: its settings, and what has been said."""

    def __init__(self, provider: str, model: str) -> None:
        super().__init__()
        self._provider = provider
        self._known: dict[str, Any] = {"model": model}
        self._transcriber = ""  # the model that writes down what the user says, if one does
        self._said: deque[dict[str, Any]] = deque(maxlen=_SAID_MAX)

    def sent(self, message: Any) -> StreamReader | None:
        kind = text_of(message, "type")
        if kind == "session.update":
            self._learn(field(message, "session"))
        elif kind == "conversation.item.create":
            self._said.append(message_of(field(message, "item")))
        elif kind == "response.create":
            reader = self.begin(lambda: self._request(field(message, "response")))
            if reader is not None:
                self.asked.append(reader)
                _events(reader).asked_by = text_of(message, "event_id")
            return reader
        return None

    def received(self, message: Any) -> None:
        kind = text_of(message, "type")
        if kind.startswith(("response.", _TRANSCRIPTION)):
            self._read(kind, message)
        elif kind.endswith(("session.created", "session.updated")):
            self._settle(kind, field(message, "session"))
        elif kind == "input_audio_buffer.committed" and self._transcriber:
            request = Request(TRANSCRIPT, self._provider, self._transcriber, stream=True)
            self._open(text_of(message, "item_id"), self.begin(lambda: request), self._transcriber)
        elif kind == "error":
            self._refused(field(message, "error"))

    def _settle(self, kind: str, session: Any) -> None:
        """Note the settings of a session that has begun, or that has taken over what the user has sent."""
        self._learn(session, are_defaults=kind.endswith("created"))
        heard = field(field(session, "audio"), "input")
        transcription = field(heard, "transcription") or field(session, "input_audio_transcription")  # the beta's
        self._transcriber = text_of(transcription, "model")

    def _learn(self, session: Any, *, are_defaults: bool = False) -> None:
        """Note a session's settings. `are_defaults`: what the user has sent before will take their place."""
        for name in ("instructions", "tools"):
            value = field(session, name)
            if value is not None and not (are_defaults and name in self._known):
                self._known[name] = value
        self._known["model"] = text_of(session, "model") or self._known["model"]

    def _request(self, asked: Any = None) -> Request:
        """Return the request for a response. What is `asked` for it alone takes the place of the session's."""
        get, known = held_by(asked).get, self._known.get
        given = get("input")
        return Request(
            RESPONSE,
            self._provider,
            known("model"),
            messages=[*self._said] if given is None else [message_of(item) for item in items(given)],
            system=get("instructions") or known("instructions"),
            tools=[tool for tool in items(get("tools") or known("tools")) if field(tool, "name")],
            stream=True,
        )

    def _read(self, kind: str, message: Any) -> None:
        response = field(message, "response")  # of the first and of the last event
        name = text_of(message, "response_id") or text_of(response, "id") or text_of(message, "item_id")
        if kind == "response.created":
            self._open(name, self._asked() or self.begin(self._request), self._known["model"])
        reader = self.open.get(name)
        if reader is None:
            return
        reader.see(message)
        if kind in _ENDS:
            del self.open[name]
            reader.end()
            self._remember(response, text_of(message, "transcript"))

    def _remember(self, response: Any, transcript: str) -> None:
        """Note what has become part of the conversation: what the model has said, or what was heard of the user."""
        if field(response, "conversation_id"):
            self._said.extend(message_of(item) for item in items(field(response, "output")))
        elif transcript:
            self._said.append({"role": "user", "content": [{"type": "input_audio", "transcript": transcript}]})

    def _open(self, name: str, reader: StreamReader | None, model: str) -> None:
        if reader is not None:
            _events(reader).model = model
            self.open[name] = reader

    def _asked(self) -> StreamReader | None:
        """Return the first response that the user has asked for and that an error may not have been about."""
        reader = next((one for one in self.asked if not _events(one).error), None) or next(iter(self.asked), None)
        if reader is not None:
            self.asked.remove(reader)
            _events(reader).error = ""
        return reader

    def _refused(self, error: Any) -> None:
        """Read an error, which names the message that it is about only if the user has given that an `event_id`."""
        name, text = text_of(error, "event_id"), text_of(error, "message") or "error"
        for reader in [*self.asked]:
            if not name and not _events(reader).error:
                _events(reader).error = text  # unless its response begins all the same
                break
            if name and name == _events(reader).asked_by:
                _events(reader).error = text
                self.asked.remove(reader)
                reader.end()


def _events(reader: StreamReader) -> Events:
    return cast("Events", reader.pieces)
