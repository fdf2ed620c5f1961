"""With `sample_errors`: records of traces that are not sampled, held back until it is known whether something fails.

A trace has failed, as far as this process knows, with its first record of an error, a timeout or a crash. From then on
all its records are kept, and so are those held back so far. What is held is given up when its invocation has ended
well, and when it is too much: first what has been held longest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .record import Record

RECORDS_MAX, CHARACTERS_MAX = 500, 1_048_576
"""Records that a process holds back, and about how much text they have in all."""
FAILED_MAX = 1_000
"""Traces whose failure is remembered."""


class Held:
    """What one process holds back. Methods may be called in any thread, and by finalizers at any moment.

    Hence loops are over lists: a finalizer changes the dicts in the midst of one.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[str, tuple[str, Record, int]] = {}  # by the event's id: trace, record, characters
        self._characters = 0
        self._released: dict[str, tuple[str, Record]] = {}  # by the event's id: what waits for somebody to take it
        self._failed: dict[str, None] = {}

    def judged(self, trace_id: str, record: Record) -> list[Record]:
        """The records to send now: this one last, and before it those that were held back, each if you can `take` it.

        Of two threads that get the same one, only one can.
        """
        with self._lock:
            if _has_failed(record):
                self._failed[trace_id] = None
                if len(self._failed) > FAILED_MAX:
                    self._failed.pop(next(iter(self._failed)), None)
            if trace_id in self._failed:
                for trace, held, _ in [*self._held.values()]:
                    if trace == trace_id:
                        self._released[held.event_id] = trace, held
                        self._give_up(held.event_id)
                return [*(held for trace, held in [*self._released.values()] if trace == trace_id), record]
            if record.kind == "invocation":
                for _, held, _ in [*self._held.values()]:
                    if held.root is record.root:  # another invocation may be under way in the same trace
                        self._give_up(held.event_id)
            else:
                self._hold(trace_id, record)
            return []

    def take(self, record: Record) -> bool:
        """Whether a record that was held back is yours to send. It is held back no longer."""
        with self._lock:
            return self._released.pop(record.event_id, None) is not None

    def _hold(self, trace_id: str, record: Record) -> None:
        self._give_up(record.event_id)  # a signal handler may have struck when it was here before
        size = _characters(record)
        self._held[record.event_id] = trace_id, record, size
        self._characters += size
        while len(self._held) > RECORDS_MAX or self._characters > CHARACTERS_MAX:
            self._give_up(next(iter(self._held), ""))

    def _give_up(self, event_id: str) -> None:
        size = self._held.pop(event_id, ("", None, 0))[2]
        self._characters -= size


def _has_failed(record: Record) -> bool:
    """Whether a record, or an event that the user has captured, is of a failure."""
    said = None if record.fields is None else record.fields.get("status")
    return record.status != "ok" or said in ("error", "timeout", "crashed")


def _characters(record: Record) -> int:
    """About how long the texts of a record are."""
    texts: list[object] = [] if record.fields is None else [*record.fields.values()]
    if record.model is not None:
        texts += (record.model.prompt.text, record.model.prompt.system, record.model.answer.text)
    return 1_000 + sum(len(text) for text in texts if isinstance(text, str))
