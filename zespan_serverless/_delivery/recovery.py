"""Takes over what dead processes of the same sandbox have left in their journals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._record.unfinished import left_behind
from .buffer import Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._record.record import Record
    from .accounts import Accounts
    from .journal import Journal
    from .journal_format import Left


def recover_journals(accounts: Accounts, journal: Journal, capture: Callable[[Record], object]) -> None:
    """Capture the events of dead processes, and the spans that they never ended. Called without the lock."""
    # A process that dies while it takes over leaves copies beside the originals: equal bytes with an id are one event.
    seen: set[bytes] = set()
    for left in journal.recover():
        unfinished, broken = _unfinished(accounts, left)
        with accounts.lock:
            if accounts.closed:
                return
            for data in left.events:
                if data not in seen or b'"event_id":' not in data:
                    seen.add(data)
                    accounts.intake.append(Item(data, time.time()))
            for _ in range(broken):
                accounts.intake.append(Item(b"", 0.0, "", "torn", "records of the journal cannot be read"))
            accounts.drain_intake()
        accounts.after_release()
        for record in unfinished:
            capture(record)


def _unfinished(accounts: Accounts, left: Left) -> tuple[list[Record], int]:
    """The events of spans that never ended, and how many records cannot be read."""
    try:
        return [*left_behind(left.open, left.overdue, left.at, accounts.settings)], left.broken
    except (ValueError, KeyError, TypeError):  # of a version with other fields
        return [], left.broken + len(left.open)
