"""The way in: an event is encoded once, and accounted for. Events of dead processes come from their journals.

Finalizers and signal handlers capture events, too, and may interrupt a thread that holds the lock. Their events wait in
`Accounts.intake` until that thread goes on: nothing else is safe to touch then. An event stays first in the intake
while it is moved into the buffer, so that the next caller can complete a move that an exception has ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .._base import log
from .._base.guard import Guarded, pass_on
from .._record.noted import left_behind, to_journal
from .._record.values import encode
from .buffer import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._base.exporter import Exporter
    from .._record.record import Record
    from .accounts import Accounts
    from .journal import Journal
    from .journal_format import Leftovers


class Intake:
    """All methods are called without the lock."""

    __slots__ = ("_accounts", "_exporter", "_notify_after_close", "_room", "_settings")

    def __init__(self, accounts: Accounts, exporter: Exporter, notify_after_close: Callable[[], object]) -> None:
        self._accounts, self._exporter, self._settings = accounts, exporter, accounts.settings
        self._notify_after_close = notify_after_close
        self._room = min(self._settings.batch_bytes, self._settings.max_bytes)

    def item(self, record: Record) -> Item:
        """Return an encoded event. Raises whatever the exporter raises, or what a signal handler does."""
        data = self._encoded(record)
        if len(data) > self._settings.batch_bytes:
            return Item(data, time.time(), record.span_id, "too_large", f"{len(data)} bytes")
        return Item(data, time.time(), record.span_id)

    def item_again(self, record: Record) -> Item:
        """Do the same after a signal handler has interrupted `item`. Never raises."""
        try:
            return self.item(record)
        except BaseException as problem:
            return self.unencodable(log.describe(problem), record.span_id)

    def unencodable(self, detail: str, span_id: str = "") -> Item:
        """Return an event that will be dropped; `detail` says why, `span_id` which span it would have ended."""
        return Item(b"", time.time(), span_id, "unencodable", detail)

    def receive(self, item: Item) -> None:
        """Account for an event: now, or when the interrupted thread goes on."""
        accounts = self._accounts
        try:
            reentrant = accounts.is_reentrant()
        except BaseException:  # of a signal handler
            accounts.intake.append(item)
            raise
        if reentrant and accounts.intake_bytes + item.size > self._settings.max_bytes:
            item = Item(b"", item.at, item.span, "buffer_full")  # the garbage collector may find thousands of them
        if reentrant:
            accounts.intake.append(item)
            accounts.intake_bytes += item.size
            return
        try:
            with accounts.lock:
                accounts.intake.append(item)
                accounts.drain_intake()
        except BaseException:  # of a signal handler, perhaps while waiting for the lock
            if not item.number and item not in accounts.intake:
                accounts.intake.append(item)
            raise
        accounts.after_release()
        if accounts.closed:
            self._notify_after_close()

    def record_open(self, begun: Record, is_over: Callable[[], bool]) -> None:
        """See `Delivery.record_open`."""
        accounts, journal = self._accounts, self._accounts.journal
        with Guarded("the start of a span"):
            data = to_journal(begun) if journal is not None else b""
            if accounts.is_reentrant():
                return
            with accounts.lock:
                if not (accounts.closed or is_over()):
                    accounts.open_spans[begun.span_id] = begun
                    if journal is not None:
                        journal.append_open(data, begun.span_id)
                        if journal.needs_rewrite:
                            accounts.buffer.rewrite_journal()
                accounts.drain_intake()
            accounts.after_release()

    def forget_open(self, span_id: str) -> None:
        """See `Delivery.forget_open`."""
        accounts = self._accounts
        accounts.over.append(span_id)
        if not accounts.is_reentrant():
            with accounts.lock:
                accounts.drain_intake()
            accounts.after_release()

    def mark_deadline(self, trace_id: str, note: Mapping[str, Any]) -> list[Record]:
        """See `Delivery.mark_deadline`."""
        accounts = self._accounts
        with accounts.lock:
            if accounts.journal is not None:
                accounts.journal.append_deadline(encode({"trace_id": trace_id, **note}))
            return [record for record in accounts.open_spans.values() if record.trace_id == trace_id]

    def recover(self, journal: Journal, capture: Callable[[Record], object]) -> None:
        """Take over the events of dead processes in the same sandbox, and capture the spans that they never ended."""
        accounts = self._accounts
        # A process that dies in here leaves copies beside the originals. Equal bytes with an event id are one event.
        seen: set[bytes] = set()
        for leftovers in journal.recover():
            unfinished, broken = self._unfinished(leftovers)
            with accounts.lock:
                if accounts.closed:
                    return
                for data in leftovers.events:
                    if data not in seen or b'"event_id":' not in data:
                        seen.add(data)
                        accounts.intake.append(Item(data, time.time()))
                for _ in range(broken):
                    accounts.intake.append(Item(b"", 0.0, "", "torn", "a record of the journal is damaged"))
                accounts.drain_intake()
            accounts.after_release()
            for record in unfinished:
                capture(record)

    def _unfinished(self, leftovers: Leftovers) -> tuple[list[Record], int]:
        """Return the events of spans that never ended, and how many records cannot be read."""
        try:
            return [*left_behind(leftovers.open, leftovers.overdue, leftovers.at, self._settings)], leftovers.broken
        except Exception as error:  # written by a version with other fields
            pass_on(error)
            return [], leftovers.broken + len(leftovers.open)

    def _encoded(self, record: Record) -> bytes:
        """Encode an event as it will be sent. One that is too large for a request, or the buffer, is shortened."""
        room, data = self._room, b""
        if not record.has_text_above(room):  # to encode megabytes takes longer than to see that they are too many
            data = self._exporter.encode(record)
            if len(data) <= room:
                return data
        from .._record.shortening import shortened

        for share in (4, 32, 256, 2048):  # one text has it all, or there are many
            data = self._exporter.encode(shortened(record, max(room // share, 32)))
            if len(data) <= room:
                break
        return data
