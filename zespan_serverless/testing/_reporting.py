"""Events in a test's report, and the table of `--zespan-report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._losses import complaint, losses_of
from ._tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from ._recording import Recording

_COLUMNS = ("events", "delivered", "waiting", "dropped", "model calls", "tokens", "cost")


def annotate(report: pytest.TestReport, recordings: Sequence[Recording]) -> None:
    """Add the events to a failing test's report, and the sums to the report of its teardown."""
    if report.when == "call" and report.failed:
        for recording in recordings:
            recording.note_losses()
            recording.has_failed = True
            text = complaint(recording, allow_drops=False, allow_waiting=False) or tree(recording.arrived())
            if text:
                report.sections.append(("Telemetry of the test", text))
    if report.when == "teardown":
        vars(report)["zespan"] = _sums(recordings)  # simple values, which xdist can send from its workers


def _sums(recordings: Sequence[Recording]) -> dict[str, float]:
    """Return the outcome of one test's events, and the usage of its model calls."""
    sums: dict[str, float] = dict.fromkeys(_COLUMNS, 0.0)
    for recording in recordings:
        lost = [*losses_of(recording)]
        waiting = {loss.event.get("event_id") for loss in lost if loss.how == "waiting" and loss.event}
        arrived = [event for event in recording.arrived() if event.get("event_id") not in waiting]
        for loss in lost:
            sums[loss.how] += loss.events
        sums["delivered"] += len(arrived)
        captured = [*arrived, *(loss.event for loss in lost if loss.event)]
        calls = [event for event in captured if event.get("model")]
        sums["model calls"] += len(calls)
        for call in calls:
            sums["tokens"] += _number(call, "input_tokens") + _number(call, "output_tokens")
            sums["cost"] += _number(call, "cost_usd")
    sums["events"] = sums["delivered"] + sums["waiting"] + sums["dropped"]
    return sums


def _number(event: Mapping[str, Any], name: str) -> float:
    value = event.get(name)
    return value if isinstance(value, (int, float)) else 0.0


def write_table(terminal: Any) -> None:
    """Write a line for each recorded test, and their sums."""
    tests = {
        report.nodeid: report.zespan
        for reports in terminal.stats.values()
        for report in reports
        if getattr(report, "zespan", None)
    }
    terminal.section(f"telemetry of {len(tests)} tests")
    if not tests:
        terminal.write_line("no test has used zespan_events, zespan_backend or the marker zespan")
        return
    total = {name: sum(sums[name] for sums in tests.values()) for name in _COLUMNS}
    rows = [("", *_COLUMNS), *((name, *_cells(sums)) for name, sums in [*sorted(tests.items()), ("total", total)])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        terminal.write_line("  ".join([name.ljust(widths[0]), *figures]))


def _cells(sums: Mapping[str, float]) -> Iterator[str]:
    for name in _COLUMNS:
        yield f"${sums[name]:.4f}" if name == "cost" else f"{sums[name]:,.0f}"
