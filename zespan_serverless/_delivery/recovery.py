"""Takes over the events of dead processes in the same sandbox from their journals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._base.guard import pass_on
from .._record.noted import left_behind
from .buffer import Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._record.record import Record
    from .accounts import Accounts
    from .journal import Journal
    from .journal_format import Leftovers


def recover_journals(accounts: Accounts, journal: Journal, capture: Callable[[Record], object]) -> None:
    """Capture the events of dead processes, and the spans that they never ended. Called without the lock."""
    # A process that dies in here leaves copies beside the originals. Equal bytes with an event id are one event.
    seen: set[bytes] = set()
    for leftovers in journal.recover():
        unfinished, broken = _unfinished(accounts, leftovers)
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


def _unfinished(accounts: Accounts, leftovers: Leftovers) -> tuple[list[Record], int]:
    """Return the events of spans that never ended, and how many records cannot be read."""
    try:
        return [*left_behind(leftovers.open, leftovers.overdue, leftovers.at, accounts.settings)], leftovers.broken
    except Exception as error:  # written by a version with other fields
        pass_on(error)
        return [], leftovers.broken + len(leftovers.open)
