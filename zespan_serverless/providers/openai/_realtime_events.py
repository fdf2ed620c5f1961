"""Responses and transcripts of the Realtime API, read from their events. Sound is never kept, only what is said."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import as_text, field, held_by, items, text_of
from .._request import Endpoint
from ._responses import RESPONSES
from ._usage import count

_KEPT = ("type", "text", "transcript", "name", "arguments", "output")  # of an item, or of a part of its content


class Realtime(Endpoint):
    """Responses, or transcripts of what the user says."""

    def __init__(self, kind: str, operation: str) -> None:
        self.kind, self.operation = kind, operation

    def pieces(self) -> Events:
        return Events()


RESPONSE, TRANSCRIPT = Realtime("llm", "chat"), Realtime("audio", "generate_content")


def message_of(item: Any) -> dict[str, Any]:
    """Return an item of a conversation as a message of texts."""
    get = held_by(item).get
    role = as_text(get("role")) or ("tool" if as_text(get("type")).endswith("_output") else "assistant")
    parts = (held_by(part) for part in items(get("content")) or [item])
    kept = [{name: text for name in _KEPT if (text := as_text(part.get(name)))} for part in parts]
    return {"role": role, "content": kept}


class Events:
    """The events of one response, of which the last has all of it, or of one transcript.

    `model` is the session's. `asked_by` is the id of the user's event, `error` what has come instead of an answer.
    """

    model = asked_by = error = ""

    def __init__(self) -> None:
        self._response: Any = None
        self._transcript: Any = None
        self._items: list[Any] = []
        self._texts: list[str] = []

    def add(self, chunk: Any) -> bool:
        kind = text_of(chunk, "type")
        if kind.endswith(".delta"):
            if kind.endswith(("text.delta", "transcript.delta", "transcription.delta")):
                self._texts.append(text_of(chunk, "delta"))
            return True
        if kind == "response.output_item.done":
            self._items.append(field(chunk, "item"))
        elif kind.endswith("transcription.completed"):
            self._transcript = chunk
        elif kind.endswith("transcription.failed"):
            self.error = text_of(field(chunk, "error"), "message") or "failed"
        else:
            self._response = field(chunk, "response") or self._response
        return False

    def answer(self) -> Answer:
        answer = self._read(self._response) if self._transcript is None else _heard(self._transcript)
        answer.model = self.model
        answer.text = answer.text or "".join(self._texts)
        answer.error = answer.error or self.error
        return answer

    def _read(self, response: Any) -> Answer:
        """Read a response, which has other names for some fields than one of the Responses API."""
        get = held_by(response).get
        details = get("status_details")
        answer = RESPONSES.answer(
            {
                "status": get("status"),
                "incomplete_details": details,
                "error": field(details, "error"),
                "output": get("output") or self._items,
                "usage": get("usage"),
            }
        )
        answer.finish_reason = answer.finish_reason.removeprefix("in_progress")  # of one that has no end
        return answer


def _heard(event: Any) -> Answer:
    answer = Answer()
    answer.text = text_of(event, "transcript")
    count(answer, field(event, "usage"))
    return answer
