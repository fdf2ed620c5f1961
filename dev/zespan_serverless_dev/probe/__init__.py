"""The probe: records what zespan-serverless does inside a program, as facts in a file that another process reads.

    facts = Facts(folder / "facts")
    subprocess.Popen(command, env={**os.environ, **facts.environment(os.environ.get("PYTHONPATH", ""))})
    ...
    for fact in facts.read():
        ...

The program runs `hooks/sitecustomize.py` at its start, which loads `inside.py`. That one patches zespan-serverless when
the program imports it, and Lambda's runtime client. A fact is a dictionary with `type`, `at` (milliseconds since the
epoch), `pid`, and:

    loaded       version                                              the program has imported zespan-serverless
    settings     journal, flush_timeout_ms, reserve_ms                its telemetry begins
    begun        trace_id, span_id, parent_span_id, event_id,         a span has begun; only where it is noted in the
                 name, kind, start                                    journal, as on Lambda
    first_token  trace_id, span_id                                    the first token of a streamed answer
    captured     as begun, and end, status, model,                    an event is in the buffer, and in the journal
                 request_id (the host's), destination                 if there is one. Of one that a process before
                                                                      this one has captured, only the event_id
    delivered    items, destination                                   a backend has accepted these events
    parked       items, destination                                   the fallback has accepted them
    dropped      items, reason, detail, destination                   they are given up
    flush        duration_ms, delivered, dropped, pending, parked,    a flush has ended, which had events to send
                 reason, destination
    asked        -                                                    the runtime has asked for an event
    request      request_id, deadline                                 and got one
    response     request_id, status (ok, error)                       and has posted the answer
    broken       what                                                 the probe does not fit the package

`items` are event ids; span ids of events that could not be encoded; None for an event that could not be made. With
several destinations there is a fact for each of them, with its name; else `destination` is empty.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .inside import identity

__all__ = ["HOOKS", "Fact", "Facts", "identity"]

HOOKS = Path(__file__).parent / "hooks"
"""The folder that has to come first in PYTHONPATH."""

Fact = dict[str, Any]


class Facts:
    """The file of facts, read from outside while the program writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0  # bytes that have been read

    def environment(self, pythonpath: str = "") -> dict[str, str]:
        """Return the variables that make a Python program write facts; `pythonpath` is its original PYTHONPATH."""
        return {"ZESPAN_PROBE": str(self.path), "PYTHONPATH": os.pathsep.join(filter(None, [str(HOOKS), pythonpath]))}

    def read(self) -> list[Fact]:
        """Return the facts since the last call. An incomplete line is left for the next call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                lines = file.read()
        except FileNotFoundError:  # nothing has happened yet
            return []
        whole = lines[: lines.rfind(b"\n") + 1]
        self._at += len(whole)
        return [fact for line in whole.splitlines() if (fact := _parsed(line)) is not None]


def _parsed(line: bytes) -> Fact | None:
    """Parse a line; None if it is incomplete, because the disk may have been full."""
    try:
        fact = json.loads(line)
    except ValueError:
        return None
    return fact if isinstance(fact, dict) and isinstance(fact.get("type"), str) else None
