"""The results as tables of Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .subjects import BARE, SUBJECTS

Results = Mapping[str, Any]
Cell = Callable[[Results], str]


def added(measure: str, digits: int = 1, scale: float = 1.0) -> Cell:
    """Return the cell of what is added to the function without telemetry: the median, and the middle half's range."""

    def cell(found: Results) -> str:
        figure = found.get(f"{measure}_added")
        if not figure:
            return ""
        median, low, high = (f"{figure[name] * scale:.{digits}f}" for name in ("median", "low", "high"))
        return f"{median} ({low} to {high})"

    return cell


def number(measure: str, digits: int = 1) -> Cell:
    """Return the cell of a number, or of the median of a figure."""

    def cell(found: Results) -> str:
        value = found.get(measure)
        if isinstance(value, dict):
            value = value["median"]
        return "" if value is None else f"{value:.{digits}f}"

    return cell


def share(measure: str, whole: str = "calls") -> Cell:
    """Return the cell of so many of so many."""
    return lambda found: f"{found[measure]} of {found[whole]}" if measure in found else ""


def table(
    found: Mapping[str, Results],
    columns: Mapping[str, Cell],
    bare: Mapping[str, Cell] | None = None,
) -> str:
    """Return a table with a row for each subject.

    `bare` has the columns that are not differences: only those are filled for the function without telemetry.
    """
    rows = []
    for name, results in found.items():
        cells = (bare or {}) if name == BARE else columns
        rows.append([SUBJECTS[name].label, *(cells[head](results) if head in cells else "" for head in columns)])
    return lines(["", *columns], rows)


def lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column has the names of the rows, and the others numbers."""
    return "\n".join(map(_row, [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
