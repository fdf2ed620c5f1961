"""Prints the tables of docs/hosts/{celery,rq,agentcore,foundry}.md: `python -m tests.figures celery --tasks 20`.

Each task or request makes one model call. The rows are ways to trace it; the columns how many of the captured events
have arrived after each way of ending, and the milliseconds that a task or a response takes longer than without tracing:
median and range over the rounds. `--rounds 0` measures no time. Measure time only on a machine that does nothing else.

Without a name, all hosts. `sdk` is the official SDK, set up where the application is imported; `sdk in each process`,
set up in `worker_process_init`; `sdk flush`, with a flush in each task, which shows that it captures every call.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

from tests.figures.measured import HOSTS, Agent, Queue


def table(host: Queue | Agent, tasks: int, rounds: int, timed: int) -> str:
    """Measure a host, and return its table in Markdown."""
    lines = ["| Tracing | " + " | ".join(host.endings) + " | Added, ms: median (range) |"]
    lines.append("| --- " * (len(host.endings) + 2) + "|")
    for how in (how for how in host.hows if how != "bare"):
        found = [host.lose(how, ending, tasks) for ending in host.endings]
        arrived = [f"{each.arrived} of {each.captured}" for each in found]
        lines.append(f"| {how} | {' | '.join(arrived)} | {added(host, how, rounds, timed)} |")
    return "\n".join(lines)


def added(host: Queue | Agent, how: str, rounds: int, timed: int) -> str:
    """Return the time that a way to trace adds: the median of all rounds, and the range of the rounds' medians."""
    if not rounds:
        return "not measured"
    found = [statistics.median(host.differences(how, 1, timed)) for _ in range(rounds)]
    return f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"


def main() -> None:
    summary, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=more, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("hosts", nargs="*", metavar="host", help=", ".join(HOSTS))
    parser.add_argument("--tasks", type=int, default=20, help="for the events: tasks in one run")
    parser.add_argument("--rounds", type=int, default=10, help="for the time: rounds of a run with and one without")
    parser.add_argument("--timed", type=int, default=50, help="for the time: tasks in one run")
    given = parser.parse_args()
    if unknown := set(given.hosts) - set(HOSTS):
        parser.error(f"no such host: {', '.join(sorted(unknown))}. Choose from {', '.join(HOSTS)}")
    for name in given.hosts or HOSTS:
        load = os.getloadavg()[0]
        shown = table(HOSTS[name], given.tasks, given.rounds, given.timed)
        times = f", {given.rounds} rounds of {given.timed} for the time" if given.rounds else ""
        sys.stdout.write(f"{name}: {given.tasks} tasks{times}, load before {load:.1f}\n\n{shown}\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
