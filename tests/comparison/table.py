"""What each tool has captured of each call, in a word or two, and the table of that in docs/comparison.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .calls import ALL, WAYS, cells

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
COLUMNS = {
    "zespan_serverless": "this package",
    "zespan": "zespan",
    "opentelemetry": "OpenTelemetry",
    "openinference": "OpenInference",
}
GOOD, NONE = "✓", "none"

Cell = tuple[str, str, str]
Cells = dict[Cell, dict[str, str]]
"""API, way and client -> column -> what was captured."""


def judge(cell: Cell, seen: Any, alone: Any) -> str:
    """Compare what the tool has recorded with what the provider has sent, and what the user got with `alone`."""
    api, way, _ = ALL[cell[0]], cell[1], cell[2]
    expected = {**api.event, **(api.later if WAYS[way] != "ask" else {})}
    changed = _changed(seen["user"], alone["user"])
    if not seen["tool"]:
        return ", ".join([NONE, *changed])
    found = list(changed)
    if len(seen["tool"]) > 1:
        found.append(f"{len(seen['tool'])} records")
    one = seen["tool"][-1]
    is_error = way in ("refused", "refused stream", "broken stream")
    if is_error and not one["failed"]:
        found.append("no error")
    if one["failed"] and not is_error:
        found.append("error")
    if api.prompt not in one["content"]:
        found.append("no prompt")
    if not is_error and way != "left stream":
        found += _answered(one, expected)
        if WAYS[way] == "read" and not one["first"]:
            found.append("no first")
    return ", ".join(found) or GOOD


def _changed(user: list[str], alone: list[str]) -> list[str]:
    if user == alone:
        return []
    kinds = re.compile(r"\btype \w+")
    is_kind = [kinds.sub("", one) for one in user] == [kinds.sub("", one) for one in alone]
    return ["other type"] if is_kind else ["other result"]


def _answered(one: Any, expected: Any) -> Iterable[str]:
    for name, field in (("input", "input_tokens"), ("output", "output_tokens"), ("cached", "cached_tokens")):
        if expected.get(field):
            if not one[name]:
                yield f"no {name}"
            elif one[name] != expected[field]:
                yield f"wrong {name}"
    if expected.get("finish_reason") and not one["reason"]:
        yield "no reason"
    if expected.get("completion_text", "") not in one["content"]:
        yield "no text"
    for tool in expected.get("tools_used") or ():
        if not re.search(rf'"\\*{tool}\\*"', one["content"].replace("\\", "")):
            yield "no tools"


def measured(column: str, ran: Any, alone: Any) -> Cells:
    """Return one column: all cells of a tool's run, beside the run without a tool."""
    keys = {cell: " | ".join(cell) for cell in cells()}
    return {cell: {column: judge(cell, ran["cells"][key], alone["cells"][key])} for cell, key in keys.items()}


def merged(*tables: Cells) -> Cells:
    """Return the columns of all of them; a later one takes the place of an earlier one."""
    together: Cells = {cell: {} for cell in cells()}
    for table in tables:
        for cell, row in table.items():
            together[cell] = {**together.get(cell, {}), **row}
    return together


def render(table: Cells) -> str:
    """Markdown. Ways of one API with the same outcome share a row; `sync` or `async` is said where that matters."""
    lines = [f"| API | call | {' | '.join(COLUMNS.values())} |", f"| --- | --- {'| --- ' * len(COLUMNS)}|"]
    for name in ALL:
        rows: dict[tuple[str, ...], list[Cell]] = {}
        for cell in cells():
            if cell[0] == name:
                rows.setdefault(tuple(table[cell].get(column, "") for column in COLUMNS), []).append(cell)
        for row, same in rows.items():
            lines.append(f"| {name} | {', '.join(_calls(same))} | {' | '.join(row)} |")
    right = [str(sum(row.get(column) == GOOD for row in table.values())) for column in COLUMNS]
    return "\n".join([*lines, f"| all | ✓ of {len(table)} | {' | '.join(right)} |"])


def _calls(same: list[Cell]) -> list[str]:
    sides: dict[str, list[str]] = {}
    for _, way, side in same:
        sides.setdefault(way, []).append(side)
    return [way if len(those) == 2 else f"{way} ({those[0]})" for way, those in sides.items()]


def read(text: str) -> Cells:
    """Return the cells of a table that `render` has made."""
    table: Cells = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")]
        if parts[0] in ALL and len(parts) == 2 + len(COLUMNS):
            for call in parts[1].split(", "):
                way, _, side = call.partition(" (")
                for one in (side.rstrip(")"),) if side else ("sync", "async"):
                    table[parts[0], way, one] = dict(zip(COLUMNS, parts[2:], strict=True))
    return table


def block(page: str, name: str) -> str:
    """Return the part of the page between the markers of that name."""
    return page.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]


def with_block(page: str, name: str, text: str) -> str:
    """Return the page with another part between the markers."""
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    if not begin:
        raise ValueError(f"the page has no {name}")
    return f"{before}{begin}{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
