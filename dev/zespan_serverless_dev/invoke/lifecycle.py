"""Reports a sandbox's lifecycle to a running `dev`, in the records of PROTOCOL.md, and passes on its controls."""

from __future__ import annotations

import platform
import queue
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..address import Address
from ..probe import Fact
from .call import Call
from .plan import Plan

CONTROLS = ["freeze", "thaw", "sigterm", "kill", "timeout"]
POLL = 20.0  # seconds that `dev` may hold a request for commands
PATIENCE = 5.0  # seconds for the last records at the end

_PASSED = {
    "begun": ("trace_id", "span_id", "parent_span_id", "name", "kind"),
    "captured": ("event_id", "trace_id", "span_id"),
    "first_token": ("span_id",),
    "response": ("status",),
    "flush": ("duration_ms", "delivered", "dropped", "pending", "parked", "reason"),
}
"""Facts that are records, and which of their fields."""


class Lifecycle:
    """One sandbox. A thread sends the records; if `dev` does not accept them, that is logged once."""

    def __init__(self, dev: Address, plan: Plan, obey: Callable[[str], object]) -> None:
        self._dev, self._obey = dev, obey
        self.sandbox = f"{plan.name}-{secrets.token_hex(4)}"
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._request = ""  # the id of the current one
        self._invoke: dict[str, Any] = {}  # what has been reported of it
        self._event = ""
        self._sent_at = 0.0
        self._pid = 0  # of the process that has asked for events last
        self._cold = False
        self._settings: dict[str, Any] = {}
        self._parked: set[str] = set()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()
        threading.Thread(target=self._poll, daemon=True).start()
        self.tell(
            "sandbox",
            host="aws_lambda",
            function=plan.name,
            handler=plan.handler,
            memory_mb=plan.memory,
            timeout_ms=plan.timeout * 1000,
            python=platform.python_version(),
            # No options, because they may contain keys, or `dev`'s token.
            command=["zespan-serverless", "invoke", plan.handler],
            controls=[*CONTROLS, "again"] if plan.stays else CONTROLS,
        )

    def tell(self, record: str, /, at: float | None = None, **fields: Any) -> None:
        """Send a record, without the fields that are None. `at`: in milliseconds, by default now."""
        known = {name: value for name, value in fields.items() if value is not None}
        when = round(time.time() * 1000 if at is None else at, 3)
        self._queue.put({"type": record, "sandbox": self.sandbox, "at": when, **known})

    def sent(self, event: str) -> None:
        """Report that an event is sent to the function."""
        self._event, self._sent_at = event, time.time() * 1000

    def fact(self, fact: Fact) -> None:
        """Pass on what the probe has seen."""
        kind, at = fact["type"], fact["at"]
        if kind == "asked" and fact["pid"] != self._pid:
            self._pid, self._cold = fact["pid"], True
            self.tell("init", at, duration_ms=round(at - self._sent_at, 3))
        elif kind == "request":
            self._request = fact["request_id"]
            known = {"request_id": self._request, "deadline": fact["deadline"], "cold": self._cold}
            self._invoke, self._cold = {"at": at, "name": self._event, **known}, False
            self.tell("invoke", **self._invoke, **self._settings)
        elif kind == "settings":
            self._settings = {name: fact[name] for name in ("reserve_ms", "flush_timeout_ms")}
            if self._invoke:  # a process says this in its first call
                self.tell("invoke", **self._invoke, **self._settings)
        elif kind == "parked":
            self._parked.update(filter(None, fact["items"]))
        elif kind == "dropped":
            why = {"reason": fact["reason"], "detail": fact["detail"]}
            ids = [item for item in fact["items"] if item is not None]
            events = len(fact["items"])
            self.tell("dropped", at, request_id=self._request, events=events, event_ids=ids, **why)
        elif kind in _PASSED:
            fields = {name: fact.get(name) for name in _PASSED[kind]}
            self.tell(kind, at, **{"request_id": self._request, **fields})

    def done(self, call: Call) -> None:
        """Report the end of a call."""
        text = "\n".join(lines_of(call.invoke.log))
        if text:
            self.tell("log", request_id=call.request_id, text=text)
        self.tell(
            "done",
            call.end,
            request_id=call.request_id,
            outcome=call.outcome,
            init_ms=call.invoke.init_ms,
            handler_ms=call.handler_ms,
            after_ms=call.after_ms,
            billed_ms=call.billed_ms,
            max_memory_mb=call.max_memory_mb,
        )

    def close(self, reason: str, waiting: Iterable[str]) -> None:
        """Report the end of the sandbox, and the events that wait on its disk."""
        self.tell("exit", reason=reason, waiting=sorted({*waiting, *self._parked}))
        self._queue.put(None)
        self._sender.join(PATIENCE)

    def _send(self) -> None:
        told = False
        while True:
            records = [self._queue.get()]
            while not self._queue.empty():
                records.append(self._queue.get())
            try:
                self._dev.tell([record for record in records if record is not None])
            except OSError as error:
                if not told:
                    print(f"`dev` does not take what happens here: {error}", file=sys.stderr)
                told = True
            if records[-1] is None:
                return

    def _poll(self) -> None:
        """Ask for commands, for as long as this process lives."""
        while True:
            try:
                for command in self._dev.commands(self.sandbox, POLL + 5):
                    self._obey(str(command["control"]))
            except (OSError, ValueError, LookupError, TypeError):  # it has ended, or is no `dev` of this version
                time.sleep(1)


def lines_of(log: str) -> list[str]:
    """Return what the function has printed, without the emulator's own lines."""
    ours = ("START RequestId", "END RequestId", "REPORT RequestId")
    text = re.sub(r"EMULATOR POSTED \S+ [\d.]+\n", "\n", log)  # may follow a line that does not end
    return [line for line in text.splitlines() if line.strip() and not line.startswith(ours) and "(rapid)" not in line]
