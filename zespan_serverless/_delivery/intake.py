"""The way in: an event is encoded once, and accounted for.

Finalizers and signal handlers capture events, too, and may interrupt a thread that holds the lock. Their events wait in
`Accounts.intake` until that thread goes on: nothing else is safe to touch then. An event stays first in the intake
while it is moved into the buffer, so that the next caller can complete a move that an exception has ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .._base import log
from .._base.guard import Guarded
from .._record.event import encode, shortened
from .buffer import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._base.exporter import Exporter
    from .accounts import Accounts


class Intake:
    """All methods are called without the lock."""

    __slots__ = ("_accounts", "_exporter", "_notify_after_close", "_settings")

    def __init__(self, accounts: Accounts, exporter: Exporter, notify_after_close: Callable[[], object]) -> None:
        self._accounts, self._exporter, self._settings = accounts, exporter, accounts.settings
        self._notify_after_close = notify_after_close

    def item(self, event: Mapping[str, Any]) -> Item:
        """An encoded event. Raises whatever the exporter raises, or what a signal handler does."""
        name, data = event.get("span_id"), self._encoded(event)
        span = name if isinstance(name, str) else ""  # a user's own may be anything
        if len(data) > self._settings.batch_bytes:
            return Item(data, time.time(), span, "too_large", f"{len(data)} bytes")
        return Item(data, time.time(), span, "", "")

    def item_again(self, event: Mapping[str, Any]) -> Item:
        """The same, after a signal handler has interrupted `item`. Never raises."""
        try:
            return self.item(event)
        except BaseException as problem:
            return self.unencodable(log.describe(problem))

    def unencodable(self, detail: str, span_id: str = "") -> Item:
        """An event that will be dropped; `detail` says why, `span_id` which span it would have ended."""
        return Item(b"", time.time(), span_id, "unencodable", detail)

    def receive(self, item: Item) -> None:
        """Account for an event: now, or when the interrupted thread goes on."""
        accounts = self._accounts
        reentrant = accounts.is_reentrant()
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

    def record_open(self, span_id: str, begin_record: Mapping[str, Any], is_over: Callable[[], bool]) -> None:
        """See `Delivery.record_open`."""
        accounts, journal = self._accounts, self._accounts.journal
        with Guarded("the start of a span"):
            data = encode(begin_record) if journal is not None else b""
            if accounts.is_reentrant():
                return
            with accounts.lock:
                if not (accounts.closed or is_over()):
                    accounts.open_spans[span_id] = begin_record
                    if journal is not None:
                        journal.append_open(data, span_id)
                        if journal.needs_rewrite:
                            accounts.buffer.rewrite_journal()
                accounts.drain_intake()
            accounts.after_release()

    def mark_deadline(self, trace_id: str, note: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """See `Delivery.mark_deadline`."""
        accounts = self._accounts
        with accounts.lock:
            if accounts.journal is not None:
                accounts.journal.append_deadline(encode({"trace_id": trace_id, **note}))
            return [record for record in accounts.open_spans.values() if record["trace_id"] == trace_id]

    def _encoded(self, event: Mapping[str, Any]) -> bytes:
        """An event as it will be sent. One that is too large for a request, or for the buffer, is shortened to fit."""
        room = min(self._settings.batch_bytes, self._settings.max_bytes)
        data = b""
        for value in event.values():
            if type(value) is str and len(value) > room:
                break  # to encode megabytes takes longer than to see that they are too many
        else:
            data = self._exporter.encode(event)
            if len(data) <= room:
                return data
        for shorter in shortened(event, room):
            data = self._exporter.encode(shorter)
            if len(data) <= room:
                break
        return data
