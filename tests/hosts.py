"""The table of hosts and situations: which events arrive, when, and what telemetry adds to the response time.

Tests write its cells with the fixture `cell` when they have observed it; `python -m tests.hosts` prints the cells that
the last run has left in build/hosts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

FOLDER = Path(__file__).parent.parent / "build" / "hosts"

Situation = Literal["sync", "async", "stream", "exception", "concurrent", "SIGTERM", "dead backend", "deadline"]
SITUATIONS: tuple[Situation, ...] = get_args(Situation)


def write(host: str, situation: Situation, seen: str) -> None:
    """Write one cell. `seen` is short: `after the response, +0.3 ms`. Each cell has a file, so processes may write at
    once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{host} {situation}.json".replace("/", "-")
    file.write_text(json.dumps([host, situation, seen]))


def table() -> str:
    """Return all cells, as Markdown."""
    cells = {(host, situation): seen for host, situation, seen in map(_read, sorted(FOLDER.glob("*.json")))}
    lines = [f"| | {' | '.join(SITUATIONS)} |", f"|{' --- |' * (len(SITUATIONS) + 1)}"]
    hosts = dict.fromkeys(host for host, _ in cells)
    lines += [f"| {host} | {' | '.join(cells.get((host, s), '') for s in SITUATIONS)} |" for host in hosts]
    return "\n".join(lines)


def _read(file: Path) -> tuple[str, str, str]:
    host, situation, seen = json.loads(file.read_text())
    return host, situation, seen


if __name__ == "__main__":
    print(table())
