"""Draws the terminal's output: a timeline of each call, the events that arrived, and the ledger.

The function's output may contain anything, and cannot control the terminal.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zespan_serverless.exporters._escapes import ESCAPED
from zespan_serverless.exporters._trees.style import fit, safe

from .call import Call
from .ledger import name_of
from .lifecycle import lines_of
from .plan import other_decorator

if TYPE_CHECKING:
    from .session import Result

LABEL = 22  # columns
NOTE = 34  # columns for the text beside a bar
BAR_MIN, BAR_MAX = 20, 64

INIT_SHARE = 0.1  # of the timeout: an init that is shorter does not make a timeout
BODY_MAX = 300  # characters of an answer
LOG_FIRST, LOG_LAST = 4, 12  # lines of a call's log; the end of a traceback is the most useful part
LINE_MAX = 300  # characters of one
OWN_LINE, OWN_LINE_MAX = "zespan-serverless: ", 1000  # these say what to do at their end
EVENTS_MAX = 20  # events in the ledger


def drawn_call(call: Call, result: Result) -> Iterator[str]:
    """Yield the lines for one call."""
    before = [one for one in result.calls if one.number < call.number][-1:]
    if before:
        yield f"   {'frozen':<{LABEL - 4}} {'· ' * 10} {(call.sent - before[0].end) / 1000:.1f} s"
    yield f"\n{_title(call, result)}"
    scale = Scale(call)
    start, response = call.start, call.response
    if call.invoke.init_ms is not None:
        yield scale.bar("init", call.sent, start or call.end, _init_note(call, call.invoke.init_ms))
    if start is not None:
        yield scale.bar("handler", start, response or call.end, _handler_note(call))
    for depth, span in call.spans():
        end = span.end if span.end is not None else call.end
        note = f"{end - span.start:.0f} ms" + (", failed" if span.failed else "")
        note += "" if span.end is not None else ", not ended"
        if span.first_token is not None:
            note += f", first token after {span.first_token - span.start:.0f}"
        yield scale.bar("  " * (depth + 1) + safe(span.name), span.start, end, note)
    if response is not None:
        yield scale.mark("response", response, f"the caller has it after {response - call.sent:.0f} ms")
    for fact in call.of("flush"):
        yield scale.bar("flush", fact["at"] - fact["duration_ms"], fact["at"], _flush_note(fact))
    for name, at in result.signals:
        if call.sent <= at <= call.end:
            yield scale.mark(name, at, "sent by this command")
    yield from _arrived(call, result)
    yield from _said(call)


def drawn_end(result: Result) -> Iterator[str]:
    """Yield the ledger, with notes."""
    sums = result.ledger.sums()
    dropped = sum(sums["dropped"].values())
    frozen = f" Between calls it was frozen by {result.plan.freeze}." if len(result.calls) > 1 else ""
    yield f"\nThe sandbox has ended: {_END[result.end]}.{frozen}"
    for fact in result.after:
        if fact["type"] == "flush" and fact["reason"] != "no_time":
            yield f"   flush at the end {_flush_note(fact)}"
    yield (
        f"Ledger: {sums['captured']} captured = {sums['delivered']} delivered + {sums['waiting']} waiting"
        f" + {dropped} dropped + {sums['lost']} lost"
    )
    # Lost events come first.
    others = sorted(
        (e for e in result.ledger.entries.values() if e.state != "delivered"), key=lambda e: e.state != "lost"
    )
    for entry in others[:EVENTS_MAX]:
        where = f" ({entry.reason})" if entry.reason and entry.state != "lost" else ""
        yield f"   {entry.state:<9} {safe(entry.name)}, of call {entry.call}, event {entry.event_id}{where}"
    if len(others) > EVENTS_MAX:
        yield f"   ... and {len(others) - EVENTS_MAX} more: --json has all"
    for reason, count in sums["dropped"].items():
        yield f"   dropped: {count} {reason}"
    if any(entry.reason == "on disk" and entry.state == "waiting" for entry in result.ledger.entries.values()):
        yield "   What waits on disk is sent by the next process in the same sandbox. It is gone if there is none:"
        yield "   the setting `fallback` keeps events elsewhere."
    if result.left.open_spans:
        yield f"   Begun and not ended on disk: {result.left.open_spans}. The next process in the sandbox reports it."
    for note in _notes(result):
        yield f"Note: {note}"
    if result.page:
        yield f"The page of `dev` at {result.page} shows it."


_END = {"scale_down": "by SIGTERM, as Lambda scales down", "kill": "by SIGKILL, without a warning"}


class Scale:
    """Draws bars in proportion to the whole of a call."""

    def __init__(self, call: Call) -> None:
        columns = shutil.get_terminal_size((120, 24)).columns
        self._width = max(BAR_MIN, min(BAR_MAX, columns - LABEL - NOTE))
        self._zero = call.sent
        self._per_ms = self._width / max(call.invoke.wall_ms, 1.0)

    def bar(self, label: str, start: float, end: float, note: str) -> str:
        """Return a line with a bar from one time to another."""
        left = self._column(start)
        size = max(1, min(round((end - self._zero) * self._per_ms), self._width) - left)
        return self._line(label, " " * left + "█" * size, note)

    def mark(self, label: str, at: float, note: str) -> str:
        """Return a line with a mark at one time."""
        return self._line(label, " " * self._column(at) + "▲", note)

    def _column(self, at: float) -> int:
        return max(0, min(round((at - self._zero) * self._per_ms), self._width - 1))

    def _line(self, label: str, drawn: str, note: str) -> str:
        return f"   {fit(label, LABEL - 4):<{LABEL - 4}} {drawn:<{self._width}} {note}".rstrip()


def _title(call: Call, result: Result) -> str:
    start = "cold" if call.cold else "warm"
    return f"Call {call.number} of {max(result.plan.calls, call.number)}, {start}, with {call.event or 'the event'}"


def _init_note(call: Call, taken: float) -> str:
    """Return how long the init took, or that it has not come to its end, of which the emulator knows no duration."""
    if call.start is not None:
        return f"{taken:.0f} ms"
    return "timed out" if call.outcome == "timeout" else "failed"


def _handler_note(call: Call) -> str:
    if call.outcome in ("ok", "error"):
        return f"{call.handler_ms:.0f} ms" + (", failed" if call.outcome == "error" else "")
    ends = {"timeout": "timed out", "crash": "the process has died", "killed": "the process was ended"}
    return ends[call.outcome]


def _flush_note(fact: dict[str, object]) -> str:
    parts = [f"{fact[name]} {name}" for name in ("delivered", "parked", "dropped", "pending") if fact[name]]
    reason = f" ({fact['reason']})" if fact["reason"] else ""
    return f"{fact['duration_ms']:.0f} ms: {', '.join(parts)}{reason}"


def _arrived(call: Call, result: Result) -> Iterator[str]:
    """Yield what the collector has accepted during this call. With `dev`, what the package says."""
    for fact in call.of("delivered"):
        names = Counter(_name_of(str(item), result) for item in fact["items"])
        yield f"   {'arrived':<{LABEL - 4}} " + " + ".join(
            safe(name) if count == 1 else f"{count} {safe(name)}" for name, count in names.items()
        )
    if not any(call.of("delivered")):
        waits = any(call.of("captured"))
        yield f"   {'arrived':<{LABEL - 4}} nothing" + ("; the events wait in the sandbox" if waits else "")


def _name_of(item: str, result: Result) -> str:
    for call in result.calls:
        for fact in call.of("captured"):
            if item in (fact.get("event_id"), fact.get("span_id")):
                name = name_of(fact)
                return name if call is result.calls[-1] else f"{name} of call {call.number}"
    return "event"


def _said(call: Call) -> Iterator[str]:
    """Yield the answer, if it is an error, and the log."""
    if call.outcome != "ok":
        yield f"   {'answer':<{LABEL - 4}} {_answer(call)}"
    lines = lines_of(call.invoke.log)
    left_out = len(lines) - LOG_FIRST - LOG_LAST
    if left_out > 1:
        lines[LOG_FIRST:-LOG_LAST] = [f"... {left_out} more lines: --json has all"]
    for line in lines:
        limit = OWN_LINE_MAX if OWN_LINE in line else LINE_MAX
        yield f"   {'log':<{LABEL - 4}} {fit(line.expandtabs(1).translate(ESCAPED), limit)}"


def _answer(call: Call) -> str:
    """Return an error's kind and message. Its traceback is in the log."""
    payload = call.invoke.payload
    if isinstance(payload, dict) and "errorMessage" in payload:
        return safe(f"{payload.get('errorType') or 'error'}: {payload['errorMessage']}")[:BODY_MAX]
    return safe(call.invoke.body[:BODY_MAX])


def _notes(result: Result) -> Iterator[str]:
    yield from result.notes
    yield from _notes_on_time(result)
    if result.broken:
        yield f"the probe does not fit this zespan-serverless, so the ledger may miss events: {result.broken[0]}"
    if all(call.start is None for call in result.calls):
        if not any(call.outcome == "timeout" for call in result.calls):
            yield "the handler was not reached: its module has not been imported, or has no such function"
    elif not result.loaded:
        yield (
            "the function does not use zespan-serverless: decorate its handler, or type "
            "--env AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper to see what the layer would send"
        )
    elif not result.ledger.entries and not result.left.open_spans:
        if any("object of type generator" in _answer(call).lower() for call in result.calls):
            yield "Lambda's Python runtime answers no generators yet, so nothing of it has run: docs/hosts/lambda.md"
        else:
            yield "the function has captured nothing: is telemetry on, and is the handler decorated?"
    if (other := other_decorator(result.plan.code, result.plan.handler)) is not None:
        yield f"invoke calls the handler as Lambda does, but it is a function of another host (@{other})"


def _notes_on_time(result: Result) -> Iterator[str]:
    """Yield what the emulator does at another time than Lambda, and signals whose time has not come."""
    seconds = result.plan.timeout
    for call in result.calls:
        init = (call.start or call.end) - call.sent
        if call.outcome == "timeout" and call.cold and init > seconds * 1000 * INIT_SHARE:
            yield (
                f"the init has taken {init / 1000:.1f} s of the {seconds} s of call {call.number}: on the emulator the "
                "timeout begins with the init, on Lambda with the handler. Type a longer --timeout"
            )
    sent = {name for name, _ in result.signals}
    for name, wanted in (("kill", result.plan.kill), ("sigterm", result.plan.sigterm)):
        if wanted is not None and wanted.after is not None and name not in sent:
            yield f"--{name} after={wanted.after:g}s was not sent: the calls were over before"
