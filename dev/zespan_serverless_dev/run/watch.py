"""Forwards the probe's facts about a running program to `dev` as lifecycle records, and keeps them for the account."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..address import Address
from ..invoke.journals import left_in
from ..invoke.ledger import Ledger
from ..probe import Fact, Facts

_EVERY = 0.2  # seconds between two checks
_RECORDS = {
    "begun": ("trace_id", "span_id", "parent_span_id", "name", "kind"),
    "captured": ("event_id", "trace_id", "span_id"),
    "first_token": ("span_id",),
    "flush": ("duration_ms", "delivered", "dropped", "pending", "parked", "reason"),
}
"""Facts that are records, and which of their fields."""


class Watch:
    """Reads facts in a thread of its own until `end`. Each process of the program is a sandbox."""

    def __init__(self, facts: Facts, dev: Address, command: Sequence[str]) -> None:
        self.ledger = Ledger()
        self.traces: dict[str, None] = {}  # in their order
        self.kinds: set[str] = set()  # of the facts that there were
        self._facts, self._dev = facts, dev
        self._program = command[0]  # without its arguments, which may be secret: runs are kept, and passed on
        self._name = f"{Path(command[0]).name}-{secrets.token_hex(3)}"
        self._processes: dict[int, str] = {}
        self._parked: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Read and report the rest, because the program has ended."""
        self._ended.set()
        self._thread.join()
        self._look()
        waiting = self._parked | self._on_disk()
        self.ledger.left(sorted(waiting), 1)
        self._tell([{"type": "exit", "sandbox": one, "waiting": sorted(waiting)} for one in self._processes.values()])

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        records: list[dict[str, Any]] = []
        for fact in self._facts.read():
            self.kinds.add(fact["type"])
            self.ledger.note(fact, 1)
            if fact.get("trace_id"):
                self.traces[str(fact["trace_id"])] = None
            if fact["type"] == "parked":
                self._parked.update(filter(None, fact["items"]))
            records += self._records(fact)
        self._tell(records)

    def _records(self, fact: Fact) -> list[dict[str, Any]]:
        """Return the records for a fact, the first of a process with one about the process."""
        pid, records = fact["pid"], []
        if pid not in self._processes:
            sandbox = self._processes[pid] = f"{self._name}-{pid}"
            about = {"host": "process", "command": [self._program], "handler": self._program}
            about["python"] = platform.python_version()
            records.append({"type": "sandbox", "sandbox": sandbox, "at": fact["at"], **about})
        head = {"type": fact["type"], "sandbox": self._processes[pid], "at": fact["at"]}
        if fact["type"] in _RECORDS:
            fields = {name: fact[name] for name in _RECORDS[fact["type"]] if fact.get(name) is not None}
            records.append({**head, **fields})
            if fact["type"] == "captured" and _is_root(fact):
                records += _invocation(fact, head["sandbox"])
        elif fact["type"] == "delivered":
            records.append({**head, "event_ids": self.ledger.settled(fact["items"])})
        elif fact["type"] == "dropped":
            known = [item for item in fact["items"] if item is not None]
            fields = {"reason": fact["reason"], "detail": fact["detail"], "event_ids": known}
            records.append({**head, "events": len(fact["items"]), **fields})
        return records

    def _tell(self, records: list[dict[str, Any]]) -> None:
        if records:
            with contextlib.suppress(OSError):  # `dev` has ended; the account at the end does not need it
                self._dev.tell(records)

    def _on_disk(self) -> set[str]:
        """Return events of this program in a journal: the next process with the same destination sends them."""
        place = os.environ.get("ZESPAN_JOURNAL", "")
        usual = f"{os.environ.get('TMPDIR') or '/tmp'}/zespan-serverless-{os.geteuid() if os.name == 'posix' else ''}"
        with contextlib.suppress(OSError):
            return set(left_in([Path(place if "/" in place else usual)]).events) & self.ledger.entries.keys()
        return set()


def _is_root(fact: Fact) -> bool:
    """Whether a captured event is that of an invocation, or of a trace's first span."""
    return fact.get("start") is not None and (fact["kind"] == "invocation" or fact["parent_span_id"] is None)


def _invocation(fact: Fact, sandbox: str) -> list[dict[str, Any]]:
    """Return the records of an invocation, which is known when it is over."""
    head = {"sandbox": sandbox, "request_id": fact.get("request_id") or fact["span_id"]}
    outcome = "ok" if fact["status"] == "ok" else "error"
    return [
        {**head, "type": "invoke", "at": fact["start"]},
        {**head, "type": "done", "at": fact["end"], "outcome": outcome, "handler_ms": fact["end"] - fact["start"]},
    ]
