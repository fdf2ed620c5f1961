"""Measures tracing on Celery, RQ, AgentCore and Foundry: `python -m tests.figures --write` makes their pages' tables.

Each task or request makes one model call. A row of a table is a way to trace. Its columns are the captured events that
have arrived after each way to end, and the milliseconds that a task or response takes longer than without tracing:
the median of all rounds, and their range. All ways run in turn in each round. The official SDK sends every two seconds
and at exit; a second row for it, which flushes, shows that it captures every call.

Measure time on a machine that does nothing else. Without a name, all hosts are measured, in six minutes.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import environments
from tests.comparison.table import with_block
from tests.figures.measured import HOSTS, Agent, Found, Queue, added

PAGES = Path(__file__).parents[2] / "docs" / "hosts"
IDLE = 1.0  # load average below which the machine does little else
BUSY = "The machine was busy: where the range includes 0, no added time could be measured."
AT_ONCE = 12  # runs that count events, which wait most of the time

Host = Queue | Agent


def counted(hosts: list[Host], tasks: int) -> dict[tuple[str, str, str], Found]:
    """Count the events of every host, way and ending."""
    runs = [(host, way, ending) for host in hosts for way in host.ways for ending in host.endings]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda run: run[0].run(run[1], run[2], tasks), runs)
        return {(host.name, way, ending): each for (host, way, ending), each in zip(runs, found, strict=True)}


def table(host: Host, events: dict[tuple[str, str, str], Found], times: dict[str, list[float]]) -> str:
    """Return a host's table in Markdown."""
    lines = [f"| Tracing | {' | '.join(host.endings)} | Added, ms: median (range) |"]
    lines.append("| --- " * (len(host.endings) + 2) + "|")
    for way, label in host.ways.items():
        found = [events[host.name, way, ending] for ending in host.endings]
        arrived = [f"{each.arrived} of {each.captured}" for each in found]
        lines.append(f"| {label} | {' | '.join(arrived)} | {_range(times.get(way, []))} |")
    return "\n".join(lines)


def _range(times: list[float]) -> str:
    if not times:
        return "not measured"
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


def main() -> None:
    """Measure the hosts that are named, and print or write their tables."""
    summary, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=more, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("hosts", nargs="*", metavar="host", help=", ".join(HOSTS))
    parser.add_argument("--write", action="store_true", help="write the tables into docs/hosts/")
    parser.add_argument("--tasks", type=int, default=20, help="for the events: tasks or requests in one run")
    parser.add_argument("--rounds", type=int, default=10, help="for the time: rounds; 0 measures no time")
    parser.add_argument("--timed", type=int, default=12, help="for the time: tasks or requests of a way in one round")
    given = parser.parse_args()
    if unknown := set(given.hosts) - set(HOSTS):
        parser.error(f"no such host: {', '.join(sorted(unknown))}. Choose from {', '.join(HOSTS)}")
    if given.timed < 4:  # of which half is measured
        parser.error(f"--timed {given.timed} is too few, use --timed 4 or more")
    hosts = [HOSTS[name] for name in given.hosts or HOSTS]
    if missing := {host.environment for host in hosts if environments.python_of(*host.environment) is None}:
        groups, names = (sorted(set(each)) for each in zip(*missing, strict=True))
        parser.error(f"not installed: {', '.join(names)}. Type: python -m tests.environments {' '.join(groups)}")
    load = os.getloadavg()[0]
    try:
        times = {host.name: added(host, given.rounds, given.timed) if given.rounds else {} for host in hosts}
        events = counted(hosts, given.tasks)
    except pytest.skip.Exception as skipped:
        parser.error(str(skipped))
    today = datetime.datetime.now(tz=datetime.UTC).date()
    versions = f"Python {platform.python_version()}, version {version('zespan')} of the official SDK"
    effort = f"{given.tasks} model calls in each run, {given.rounds} rounds for the time"
    note = f"{today}, {versions}, {os.cpu_count()} cores, load average before it {load:.1f}; {effort}:"
    for host in hosts:
        block = f"{textwrap.fill(note, 120)}\n\n{table(host, events, times[host.name])}"
        if given.rounds and load >= IDLE:
            block += f"\n\n{BUSY}"
        page = PAGES / f"{host.name}.md"
        if given.write:
            page.write_text(with_block(page.read_text(), "figures", block))
        sys.stdout.write(f"{page.name}: {block}\n\n")


if __name__ == "__main__":
    main()
