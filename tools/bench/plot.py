"""Draws docs/images/benchmarks.svg: what this package costs and delivers, beside other SDKs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tools.drawing import bar, beginning, text

from .subjects import SUBJECTS

PARTS = {"cold", "warm", "kill", "outage"}
SHOWN = ("package", "flush", "langfuse", "opentelemetry", "sentry", "logfire", "datadog")
WIDTH, TOP, ROW, LEFT = 800, 64, 26, 162  # pixels


class Panel(NamedTuple):
    """A column of bars: milliseconds that are added to the function without telemetry."""

    title: str
    part: str
    measure: str
    left: int
    right: int
    digits: int


PANELS = (
    Panel("Init, added ms", "cold", "init_ms", LEFT, 335, 0),
    Panel("Response, added ms", "warm", "response_ms", 350, 510, 1),
    Panel("CPU, added ms", "warm", "cpu_ms", 525, 645, 1),
)
KEPT = {660: "kill", 728: "outage"}  # columns of model calls that have arrived: left edge -> part
VALUE = 44  # pixels for the number beside the longest bar


def svg(parts: Mapping[str, Any]) -> str:
    """Return the picture. `parts` are those of the results."""
    names = [name for name in SHOWN if all(name in parts[part] for part in PARTS)]
    height = TOP + ROW * len(names) + 34
    lines = beginning(WIDTH, height, "What telemetry costs and delivers on AWS Lambda", description(parts))
    lines.append(text(16, 24, "Added to the same function without telemetry", "strong"))
    for row, name in enumerate(names):
        style = "strong" if name == "package" else ""
        lines.append(text(16, TOP + ROW * row + 14, SUBJECTS[name].label, style))
        for left, part in KEPT.items():
            found = parts[part][name]
            kept = f"{found['arrived']} of {found['calls']}"
            good = "good" if found["arrived"] == found["calls"] else "bad"
            lines.append(text(left, TOP + ROW * row + 14, kept, good))
    for panel in PANELS:
        lines += _bars(parts, panel, names)
    lines.append(text(min(KEPT), 30, "Calls that arrive after", "dim"))
    lines += [text(left, 50, f"a {part}" if part == "kill" else f"an {part}", "dim") for left, part in KEPT.items()]
    note = "AWS's Lambda emulator. Medians; thin lines: the middle half. Model 50 ms, backend 30 ms."
    lines += [text(16, height - 12, note, "dim"), "</svg>", ""]
    return "\n".join(lines)


def description(parts: Mapping[str, Any]) -> str:
    """Return the picture in words."""
    init, response = (parts[part]["package"][f"{measure}_added"]["median"] for _, part, measure, *_ in PANELS[:2])
    others = [parts["warm"][name]["response_ms_added"]["median"] for name in SHOWN[1:] if name in parts["warm"]]
    added = f"{init:.0f}" if init >= 1 else "less than 1"  # noise may make it negative
    return (
        f"zespan_serverless adds {added} ms to the init and {response:.1f} ms to the response; "
        f"others add {min(others):.0f} to {max(others):.0f} ms"
    )


def _bars(parts: Mapping[str, Any], panel: Panel, names: list[str]) -> list[str]:
    figures = [parts[panel.part][name][f"{panel.measure}_added"] for name in names]
    longest = max([*(figure["high"] for figure in figures), 0.001])
    scale = (panel.right - panel.left - VALUE) / longest
    lines = [text(panel.left, 50, panel.title, "dim")]
    for row, (name, figure) in enumerate(zip(names, figures, strict=True)):
        top = TOP + ROW * row
        ends = {name: panel.left + max(0.0, figure[name]) * scale for name in ("low", "median", "high")}
        lines.append(bar("flush" if name == "package" else "handler", panel.left, ends["median"], top + 2, 16))
        if ends["high"] - ends["low"] > 1:
            lines.append(f'<path class="mark" d="M{ends["low"]:.1f} {top + 10}H{ends["high"]:.1f}"/>')
        lines.append(text(ends["high"] + 5, top + 15, f"{figure['median']:.{panel.digits}f}", "dim"))
    return lines
