"""Spans as trees: a line each, with a time bar, duration, tokens and cost, and below it the error.

    14:03:22.118 chat        ━━━━━━━━━━━━━━━━━━━━━━━━  1.24 s  1,204 → 312  $0.0004  POST /chat 200 · cold start
    ├─ search_docs tool      ━━                        130 ms
    └─ gpt-4o-mini chat        ━━━━━━━━━━━━━━━━━━━━━━  1.09 s  1,204 → 312  $0.0004

The root's tokens and cost are the sums of its tree; a plus means that those of some calls are unknown.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..._base.guard import pass_on
from .style import cells, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .style import Style

_INDENT_MAX = 24  # columns; what is deeper is drawn at this depth
_HEAD_MIN = 24
_BAR = 24
_BARS_FROM = 90  # minimum columns for bars
_LOOKS = {"llm": "cyan", "embedding": "cyan", "tool": "yellow", "retriever": "yellow"}


class Node:
    """One span. Times are milliseconds, `start` since the epoch; None means unknown.

    All texts are `safe` already. `label`: what kind of span it is. `notes`: further information in a few words.
    `is_model`: whether it is a model call, whose tokens and cost count. `error`: None if there was none.
    """

    __slots__ = (
        *("children", "cost", "duration", "error", "input_tokens", "is_model", "kind", "label", "name", "notes"),
        *("output_tokens", "parent_id", "span_id", "start", "trace_id"),
    )

    def __init__(self, trace_id: str, span_id: str, parent_id: str | None, name: str, kind: str) -> None:
        self.trace_id, self.span_id, self.parent_id, self.name, self.kind = trace_id, span_id, parent_id, name, kind
        self.label = ""
        self.start: float | None = None
        self.duration: float | None = None
        self.error: str | None = None
        self.is_model = False
        self.input_tokens: float | None = None
        self.output_tokens: float | None = None
        self.cost: float | None = None
        self.notes: list[str] = []
        self.children: list[Node] = []


def forest(nodes: Iterable[Node]) -> list[Node]:
    """Return the roots in the order of their starts, with their children. Each node is in exactly one tree."""
    ordered = sorted(nodes, key=lambda node: node.start or 0.0)
    by_id = {(node.trace_id, node.span_id): node for node in reversed(ordered)}
    parents = [by_id.get((node.trace_id, node.parent_id or "")) for node in ordered]
    for node, parent in zip(ordered, parents, strict=True):
        if parent is not None:
            parent.children.append(node)
    roots = [node for node, parent in zip(ordered, parents, strict=True) if parent is None]
    reached = {id(node) for root in roots for _, _, node in walk(root)}
    for node, parent in zip(ordered, parents, strict=True):
        if id(node) not in reached and parent is not None:  # it is its own ancestor, or below such a node
            parent.children.remove(node)
            roots.append(node)
            reached |= {id(below) for _, _, below in walk(node)}
    return roots


def walk(root: Node) -> Iterator[tuple[str, str, Node]]:
    """Yield (prefix of the node, prefix of a line below it, node), parents first."""
    waiting = [("", "", root)]
    while waiting:
        before, below, node = waiting.pop()
        yield before, below, node
        indent = below if len(below) < _INDENT_MAX else below[:-3]
        last = node.children[-1:]
        waiting += [(f"{indent}└─ ", f"{indent}   ", child) for child in last]
        waiting += [(f"{indent}├─ ", f"{indent}│  ", child) for child in reversed(node.children[:-1])]


def draw(nodes: Iterable[Node], style: Style) -> str:
    """Draw the spans as trees with the same columns. The text ends with a newline, if there are any."""
    rows = [(root, *row) for root in forest(nodes) for row in walk(root)]
    return "".join(f"{style.plain(line)}\n" for line in _lines(rows, style)) if rows else ""


def _lines(rows: list[tuple[Node, str, str, Node]], style: Style) -> Iterator[str]:
    """Return the lines of rows, which are (root, prefix of the node, prefix of a line below it, node)."""
    heads = [_head(before, node) for _, before, _, node in rows]
    table = [_figures(node, root) for root, _, _, node in rows]
    head_width = min(max(_HEAD_MIN, *(cells("".join(head)) for head in heads)), style.width * 2 // 5)
    widths = [max(map(cells, column)) for column in zip(*table, strict=True)]
    bars = style.width >= _BARS_FROM
    room = style.end - head_width - sum(width + 2 for width in widths if width) - (_BAR + 2 if bars else 0) - 2
    for (root, _, below, node), head, figures in zip(rows, heads, table, strict=True):
        line = _painted(head, node, head_width, style)
        if bars:
            line += "  " + style.paint(_bar(node, root), _look(node))
        for figure, width in zip(figures, widths, strict=True):
            line += f"  {' ' * (width - cells(figure))}{figure}" if width else ""
        trace = [f"trace {node.trace_id[:8]}"] if node is root and node.trace_id else []
        notes = style.paint(fit(" · ".join(node.notes + trace), room), "dim")
        yield f"{line}  {notes}".rstrip()
        if node.error is not None:
            indent = below + ("│  " if node.children else "   ")
            text = fit(f"✗ {node.error}", style.end - len(indent))
            yield style.paint(indent, "dim") + style.paint(text, "red")


def _head(before: str, node: Node) -> tuple[str, str, str]:
    """Return the prefix, the name, and the label."""
    if not before:
        before = f"{clock(node.start)} "
    return before, node.name, f" {node.label}" if node.label else ""


def _painted(head: tuple[str, str, str], node: Node, width: int, style: Style) -> str:
    """Return the head with colours, in exactly this many columns."""
    before, name, label = head
    name = fit(name, max(width - len(before), 8))
    label = fit(label, width - len(before) - cells(name))
    used = len(before) + cells(name) + cells(label)
    is_root = before[:1].isdigit()
    looks = ("bold", "red") if node.error is not None else ("bold",) if is_root else (_LOOKS.get(node.kind, ""),)
    painted = style.paint(before, "dim") + style.paint(name, *looks) + style.paint(label, "dim")
    return painted + " " * (width - used)


def _look(node: Node) -> str:
    return "red" if node.error is not None else _LOOKS.get(node.kind, "dim")


def _bar(node: Node, root: Node) -> str:
    """Return a bar that shows when the span ran, on the root's time scale."""
    if node.start is None or root.start is None or not root.duration:
        return " " * _BAR
    scale = _BAR / root.duration
    left = min(max(round((node.start - root.start) * scale), 0), _BAR - 1)
    right = min(max(round((node.start - root.start + (node.duration or 0.0)) * scale), left + 1), _BAR)
    return f"{' ' * left}{'━' * (right - left)}{' ' * (_BAR - right)}"


def _figures(node: Node, root: Node) -> tuple[str, str, str]:
    """Return duration, tokens and cost; a root that is not a model call has the sums of its tree."""
    time_taken = duration(node.duration)
    if node.is_model:
        return time_taken, _tokens(node.input_tokens, "", node.output_tokens, ""), money(node.cost)
    calls = [one for _, _, one in walk(root) if one.is_model] if node is root else []
    if not calls:
        return time_taken, "", ""
    asked, answered = _sum([one.input_tokens for one in calls]), _sum([one.output_tokens for one in calls])
    cost, more = _sum([one.cost for one in calls])
    return time_taken, _tokens(*asked, *answered), f"{money(cost)}{more}"


def _sum(values: list[float | None]) -> tuple[float | None, str]:
    """Return the sum of the known values, and a plus if others are unknown."""
    known = [value for value in values if value is not None]
    return (sum(known), "" if len(known) == len(values) else "+") if known else (None, "")


def _tokens(asked: float | None, more_asked: str, answered: float | None, more_answered: str) -> str:
    if asked == answered == 0:
        return ""
    sides = ((asked, more_asked), (answered, more_answered))
    return " → ".join("?" if count is None else f"{count:,.0f}{more}" for count, more in sides)


def money(dollars: float | None) -> str:
    """Format an amount with two significant digits: $1.20, $0.0042, $0.0000048."""
    if dollars is None:
        return ""
    small = dollars > 0 and next((digits for digits in range(1, 12) if dollars >= 10**-digits), 0)
    return f"${dollars:.{small + 1}f}" if small and dollars < 1 else f"${dollars:,.2f}"


def duration(ms: float | None) -> str:
    """Format milliseconds in a readable unit."""
    if ms is None:
        return "running"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.2f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes:,} min {seconds:02d} s"


def clock(ms: float | None) -> str:
    """Format the local time of day, to the millisecond."""
    try:
        whole, rest = divmod(round(ms or 0.0), 1000)
        return f"{time.strftime('%H:%M:%S', time.localtime(whole))}.{rest:03d}"
    except (ValueError, OverflowError, OSError) as error:  # outside the range of the calendar
        pass_on(error)
        return "00:00:00.000"
