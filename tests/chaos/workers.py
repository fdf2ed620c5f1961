"""The workers of task queues, whose processes are killed, recycled and cut off, while the backend fails in every way.

python -m tests.chaos.workers --queue rq --tasks 10000 [--seed 7] [--no-disk]

Queues: celery, rq, dramatiq, temporal. Tasks note the id of each event when its capture has returned, and the attempt
itself when it begins (tests/workers/noting.py). At the end the backend works, and the next process of the machine sends
what is left: every event must have arrived, and one root event for each attempt.

With `--no-disk` the journal is off, or its folder cannot be made. Then an event has arrived, or `on_error` has been
told of it, or its process was killed (tests/chaos/kills.py). An attempt that was running then has no event.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Set
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests import environments
from tests.chaos import kills
from tests.support import ROOT, roots, until
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless._base.log import PREFIX
from zespan_serverless.testing import Backend

MODES: list[Any] = ["ok", "ok", "ok", "hang", "refuse", "drop", 429, 500, 503]
QUIET = ["-l", "error", "--without-gossip", "--without-mingle"]
LIMITS = ["--max-tasks-per-child", "9", "--soft-time-limit", "1", "--time-limit", "2"]
OWN = ("----", PREFIX[:4])
FATES = ["arrived", "dropped and counted", "in processes that were killed", "lost"]
HEIR = """
import sys
from zespan_serverless import capture, flush, init
init(journal=sys.argv[1])
capture({"operation": "heir"})  # is sent when everything has been taken over
flush(100)
sys.exit(flush(100).pending)
"""


class Queue(NamedTuple):
    """How a task queue is run. `broker` formats the path or the address of its server as the tasks' module wants it.

    `commands` are workers, one of which is chosen each time; each begins with a module. `deadly` is the probability
    that an attempt kills its process, in which others may run. `ask` makes the publisher's arguments for so many tasks.
    """

    commands: list[list[str]]
    module: str
    broker: str
    ask: Callable[[int, str], list[Any]]
    deadly: float
    server: Callable[[], AbstractContextManager[str]] = support.redis_server
    packages: str = "queues"
    stops: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)


def _pool(kind: str) -> list[str]:
    return ["rq.cli", "worker-pool", "-n", "4", "-u", "BROKER", "-w", f"tests.workers.rq_workers.{kind}"]


def _dramatiq(count: int, name: str) -> list[Any]:
    return [[["chaos", "chaos async"][number % 2], [], {}] for number in range(count)]


QUEUES = {
    "celery": Queue(
        [["celery", "-A", "tests.workers.celery_app", "worker", "-P", "prefork", "-c", "16", *QUIET, *LIMITS]],
        "tests.workers.celery_app",
        "redis+socket://{}",
        lambda count, name: [["chaos", [], {}]] * count,
        0.06,
        stops=(signal.SIGTERM, signal.SIGQUIT),
    ),
    "rq": Queue(
        [_pool(kind) for kind in ("NotingWorker", "NotingWorker", "NotingSpawnWorker", "NotingSimpleWorker")],
        "tests.workers.rq_jobs",
        "unix://{}",
        lambda count, name: [["chaos", [], {"job_timeout": 1}]] * count,
        0.06,
    ),
    "dramatiq": Queue(
        [["dramatiq", "tests.workers.dramatiq_actors", "-p", "3", "-t", "4"]],
        "tests.workers.dramatiq_actors",
        "unix://{}",
        _dramatiq,
        0.002,
    ),
    "temporal": Queue(
        [["tests.workers.temporal_worker", "BROKER", "work"]],
        "tests.workers.temporal_worker",
        "{}",
        lambda count, name: ["BROKER", "chaos", str(count // 10), name],
        0.002,
        support.temporal_server,
        "temporal",
        (signal.SIGTERM,),
    ),
}


class Run:
    """One run of a queue, in a folder that stands for the machine's disk; without one if not `has_disk`."""

    def __init__(
        self, queue: Queue, folder: Path, seed: str, server: str, backend: Backend, *, has_disk: bool = True
    ) -> None:
        self.queue, self.chance, self.backend = queue, random.Random(seed), backend
        self.python = environments.installed("workers", queue.packages)
        self.broker = queue.broker.format(server)
        sizes = {"ZESPAN_MAX_EVENTS": "100000", "ZESPAN_MAX_BYTES": "100000000", "ZESPAN_FLUSH_TIMEOUT": "0.3"}
        more = {"BROKER": self.broker, "ROOM": "room", "DEADLY": str(queue.deadly), **sizes}
        self.env = support.environment(folder, backend.url, **more)
        self.journals = folder / f"zespan-serverless-{os.geteuid()}"
        self.count: Counter[str] = Counter()
        self.published = 0
        self.logs: list[str] = []
        self.has_disk = has_disk
        self.sessions: set[int] = set()  # of workers
        self.killed: set[int] = set()  # processes

    def attempts(self) -> list[str]:
        """Return the ids of the root spans of all attempts that have begun, each with its process."""
        return support.lines(self.env, " attempts")

    def publish(self, count: int) -> None:
        asked = self.queue.ask(count, f"chaos-{self.published}")
        args = asked if "BROKER" in asked else [json.dumps(asked)]
        command = [str(self.python), "-m", self.queue.module, *self.with_broker(args)]
        subprocess.run(command, env={**self.env, "ROOM": ""}, cwd=ROOT, check=True, capture_output=True)
        self.published += count

    def with_broker(self, args: list[str]) -> list[str]:
        return [self.broker if each == "BROKER" else each for each in args]

    def work(self, tasks: int, longest: float) -> None:
        """Have workers run until so many attempts have begun. Each worker lives for `longest` seconds at most."""
        commands = self.queue.commands[: None if tasks > 500 else 1]  # spawning a process for each job takes long
        before = 0
        while (begun := len(self.attempts())) < tasks:
            if self.published - begun < 500 or begun == before:  # tasks are lost with workers that are killed, too
                self.publish(min(500, max(tasks, 100)))
            before = begun
            command = [str(self.python), "-m", *self.with_broker(self.chance.choice(commands))]
            self.count["workers"] += 1
            without_disk = {"ZESPAN_JOURNAL": self.chance.choice(["off", "/proc/journals"])}
            with Worker(command, self.env if self.has_disk else {**self.env, **without_disk}) as worker:
                self.sessions.add(worker.process.pid)
                end = time.monotonic() + 30  # its start takes seconds on a busy machine
                while len(self.attempts()) == begun and worker.process.poll() is None and time.monotonic() < end:
                    time.sleep(0.02)
                self.strike(worker, tasks, time.monotonic() + self.chance.uniform(longest / 4, longest))
                if self.chance.random() < 0.5:
                    with suppress(subprocess.TimeoutExpired):
                        worker.stop(self.chance.choice(self.queue.stops), 5)
                self.killed |= kills.stopped(worker.process.pid)
                worker.kill()
                self.logs.append(worker.log)

    def strike(self, worker: Worker, tasks: int, end: float) -> None:
        """Change the backend's mode and kill processes, until the end, or until so many attempts have begun."""
        while time.monotonic() < end and worker.process.poll() is None and len(self.attempts()) < tasks:
            time.sleep(self.chance.uniform(0.05, 0.4))
            self.backend.mode = self.chance.choice(MODES)
            processes = descendants(worker.process.pid)
            if processes and self.chance.random() < 0.3:
                pid, number = self.chance.choice(processes), self.chance.choice([signal.SIGKILL, signal.SIGTERM])
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    self.count["kills"] += 1
                    self.killed |= {pid} if number == signal.SIGKILL else set()

    def drain(self) -> None:
        """Have the next processes of this machine send what is left, until no journal is left."""
        until(lambda: not [*kills.running(sessions=self.sessions)], 60)  # RQ's jobs outlive a worker that is killed
        self.backend.mode = "ok"
        command = [str(self.python), "-c", HEIR, str(self.journals)]
        for _ in range(20):
            heir = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=300)
            assert heir.returncode == 0, heir.stderr
            if not [*self.journals.glob("*")]:
                return
            time.sleep(0.2)

    def result(self) -> dict[str, Any]:
        """Return what was captured, what of it has not arrived, and how many root events the attempts have."""
        arrived = {event["event_id"]: event for event in self.backend.events}
        spans = Counter(event["span_id"] for event in roots(list(arrived.values())))
        ends = Counter(event["metadata"].get("error.type", "success") for event in roots(list(arrived.values())))
        ids, owns = [*zip(*map(str.split, support.lines(self.env, " dropped")), strict=True)] or [(), ()]
        return {
            **self.count,
            "attempts": len(self.attempts()),
            **self.fates(support.lines(self.env), arrived.keys(), set(ids)),
            "attempts without an event of their own": self.fates(self.attempts(), spans.keys(), set(owns))["lost"],
            "attempts with several": sum(number > 1 for number in spans.values()),
            "delivered again under the same id": len(self.backend.events) - len(arrived),
            "ends": dict(ends.most_common()),
            "journals left": len([*self.journals.glob("*")]),
            "drops told": Counter(re.findall(r"events are being dropped: (\w+)", "".join(self.logs))),
        }

    def fates(self, noted: list[str], arrived: Set[str], dropped: Set[str]) -> dict[str, int]:
        """Count what has become of what tasks have noted, each with its process. Nothing may be `lost`."""
        killed = (
            self.killed | {int(pid) for pid in support.lines(self.env, " killed")} | kills.in_log("".join(self.logs))
        )
        fates = Counter(dict.fromkeys(FATES, 0))
        for id, pid in map(str.split, noted):
            if id in arrived:
                fates["arrived"] += 1
            elif id in dropped:
                fates["dropped and counted"] += 1
            elif int(pid) in killed and not self.has_disk:
                fates["in processes that were killed"] += 1
            else:
                fates["lost"] += 1
        return {"captured": len(noted), **fates}


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [each for child in children for each in descendants(child)]


def run(
    name: str, folder: Path, tasks: int, seed: str, longest: float = 40.0, *, has_disk: bool = True
) -> dict[str, Any]:
    """Run so many tasks of a queue. Returns what came of them."""
    queue = QUEUES[name]
    with queue.server() as server, Backend() as backend:
        chaos = Run(queue, folder, seed, server, backend, has_disk=has_disk)
        chaos.work(tasks, longest)
        chaos.drain()
        found = chaos.result()
    if found["lost"] or found["attempts without an event of their own"] or found["attempts with several"]:
        own = (line for log in chaos.logs for line in ["---- the next worker", *log.splitlines()] if line[:4] in OWN)
        (folder / "logs").write_text("\n".join(own))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--queue", choices=QUEUES, required=True)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seed", default=str(random.randrange(1_000_000)))
    parser.add_argument("--no-disk", action="store_true", help="without a journal")
    given = parser.parse_args()
    if environments.python_of("workers", QUEUES[given.queue].packages) is None:
        parser.error("its packages are not installed: python -m tests.environments workers")
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = run(given.queue, Path(folder), given.tasks, given.seed, has_disk=not given.no_disk)
        seconds = time.monotonic() - began
        sys.stdout.write(f"{given.queue}, seed {given.seed}, {seconds:.0f} s: {json.dumps(found)}\n")
        if (logs := Path(folder, "logs")).exists():
            sys.stdout.write(f"What the package has logged:\n{logs.read_text()}\n")


if __name__ == "__main__":
    main()
