"""With `sample_errors`: holds records of unsampled traces back until it is known whether something fails.

A trace has failed, as far as this process knows, with its first record of an error, a timeout or a crash. Then all its
records are sent, including those held back so far. Held records are discarded when their invocation has ended well,
and, the oldest first, when there are too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base import threads

if TYPE_CHECKING:
    from .record import Record

RECORDS_MAX, CHARACTERS_MAX = 500, 1_048_576
"""Limits of what a process holds back: records, and characters of text in all."""
FAILED_MAX = 1_000
"""Traces whose failure is remembered."""


class Held:
    """The held records of one process. Methods may be called in any thread, and by finalizers at any moment.

    Loops iterate over lists, because a finalizer may change the dicts meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threads.RLock()
        self._held: dict[str, tuple[str, Record, int]] = {}  # by the event's id: trace, record, characters
        self._characters = 0
        self._released: dict[str, tuple[str, Record]] = {}  # by the event's id: records that wait to be taken
        self._failed: dict[str, None] = {}

    def judged(self, trace_id: str, record: Record) -> list[Record]:
        """Yield the records to send now: this one last, and before it held records, each if `take` succeeds.

        Only one of two threads can take a record.
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
                    if held.root is record.root:  # another invocation may be active in the same trace
                        self._give_up(held.event_id)
            else:
                self._hold(trace_id, record)
            return []

    def take(self, record: Record) -> bool:
        """Whether this caller may send a held record, which is then no longer held."""
        with self._lock:
            return self._released.pop(record.event_id, None) is not None

    def _hold(self, trace_id: str, record: Record) -> None:
        self._give_up(record.event_id)  # a signal handler may have interrupted an earlier call here
        size = _characters(record)
        self._held[record.event_id] = trace_id, record, size
        self._characters += size
        while len(self._held) > RECORDS_MAX or self._characters > CHARACTERS_MAX:
            self._give_up(next(iter(self._held), ""))

    def _give_up(self, event_id: str) -> None:
        size = self._held.pop(event_id, ("", None, 0))[2]
        self._characters -= size


def _has_failed(record: Record) -> bool:
    """Whether a record, or a captured event, reports a failure."""
    said = None if record.fields is None else record.fields.get("status")
    return record.status != "ok" or said in ("error", "timeout", "crashed")


def _characters(record: Record) -> int:
    """Return the approximate length of a record's texts."""
    texts: list[object] = [] if record.fields is None else [*record.fields.values()]
    if record.model is not None:
        texts += (record.model.prompt.text, record.model.prompt.system, record.model.answer.text)
    return 1_000 + sum(len(text) for text in texts if isinstance(text, str))
