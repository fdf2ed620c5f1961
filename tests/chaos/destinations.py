"""Two destinations with a parking lot, and sandboxes that are replaced with their disks while one or both are away.

python -m tests.chaos.destinations --seconds 600 [--seed 7] [--stores directory,s3,sqs]

At the end both backends are there, what is parked is replayed, and each of them must have had every event. What was
captured is known by the functions themselves, which note each event's id when its capture has returned.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox

from tests.exporters.otlp.support import plain, spans_in
from tests.exporters.stores import aws
from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[2]
OUTAGES: list[Any] = ["hang", "refuse", "drop", "redirect", 429, 500, 503]
AWAY = [(True, False), (False, True), (True, True)]  # Zespan, the collector
HOWS = ["return", "return", "return", "raise", "leave", "exit", "kill", "segfault"]


class Fleet:
    """Functions that send to Zespan and to a collector of OpenTelemetry's, each with a backend of its own to fail."""

    def __init__(self, folder: Path, seed: str, store: str) -> None:
        self.folder, self.seed, self.store = folder, seed, store
        self.count: Counter[str] = Counter()
        self.logs: list[str] = []  # of each sandbox
        self.zespan = Backend()
        self.collector = Backend(decode=lambda body: spans_in(json.loads(body)))
        name = f"parked-{folder.name}"
        self.parking = {"s3": f"s3://parked/{name}", "sqs": f"sqs://{name}"}.get(store, str(folder / "parked"))
        self.env = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self.env |= {
            "ZESPAN_EXPORTER": "zespan,otlp",
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": self.zespan.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "ZESPAN_FALLBACK": self.parking,
            "ZESPAN_FLUSH_TIMEOUT": "0.3" if store == "directory" else "2.0",  # an SDK is to be imported in it
            "ZESPAN_MAX_EVENTS": "200",
        }

    def one_after_the_other(self, until: float) -> None:
        """Run sandboxes, each with an outage from some invocation on, and none with the disk of the one before."""
        chance = random.Random(self.seed)
        while time.monotonic() < until:
            (disk := self.folder / "disk").mkdir()
            self.sandbox(chance, disk)
            shutil.rmtree(disk)

    def sandbox(self, chance: random.Random, disk: Path) -> None:
        """One sandbox from its start to its replacement. What kills its process is followed by another invocation."""
        paths = os.pathsep.join(map(str, (HOOKS, ROOT, ROOT / "tests" / "chaos")))
        env = self.env | {"PYTHONPATH": paths, "ZESPAN_FALLBACK_AFTER": chance.choice(["0", "0.5", "60"])}
        self.change_backends(chance, away=False)
        with Sandbox("work.handler", ROOT, env=env, timeout=10, tmp_dir=disk) as sandbox:
            hows = [chance.choice(HOWS) for _ in range(chance.randrange(2, 6))]
            outage = chance.randrange(len(hows))  # begins with this invocation
            for at, how in enumerate([*hows, "return"]):
                if at >= outage:
                    self.change_backends(chance, away=True)
                event = {"count": chance.randrange(1, 12), "late": 0, "size": 10, "pause": 0, "how": how}
                event["ids"] = str(self.folder / f"ids {len(self.logs)}")
                answer = sandbox.invoke(event, client_timeout=30)
                self.count["invocations"] += 1
                self.count["processes that died"] += answer.reset
                if chance.random() < 0.3:
                    sandbox.freeze()
            log = sandbox.stop()
        self.logs.append(log)
        self.count["killed before they had parked"] += "Sending SIGKILL to runtime" in log
        reasons = re.findall(r"events are being dropped: (\w+)", log)
        self.count["drops told"] += len(reasons) - reasons.count("torn")  # of which nobody knew that it was captured
        self.count["sandboxes"] += 1

    def change_backends(self, chance: random.Random, *, away: bool) -> None:
        """Have one or both fail in some way; or both work."""
        which = chance.choice(AWAY) if away else (False, False)
        modes: list[Any] = [chance.choice(OUTAGES) if one else "ok" for one in which]
        self.zespan.mode, self.collector.mode = modes

    def replay(self) -> str:
        """Send what is parked, by the command, when both are there again. Returns what it has printed."""
        self.zespan.mode = self.collector.mode = "ok"
        command = [sys.executable, "-m", "zespan_serverless", "replay", self.parking]
        done = subprocess.run(command, env={**os.environ, **self.env}, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout.splitlines()[-1]

    def result(self) -> dict[str, Any]:
        """Return what was captured, and what each destination has had of it, by the ids of events."""
        of_sandbox = [set((self.folder / f"ids {number}").read_text().split()) for number in range(len(self.logs))]
        captured = set[str]().union(*of_sandbox)
        had = {
            "zespan": [event["event_id"] for event in self.zespan.events],
            "collector": [str(plain(span["attributes"])["zespan.event_id"]) for span in self.collector.events],
        }
        for log, ids in zip(self.logs, of_sandbox, strict=True):
            if ids - set(had["zespan"]) or ids - set(had["collector"]):
                sys.stderr.write(f"{log}\n---- a sandbox that has lost events\n")
        return {
            "captured": len(captured),
            "lost": {name: len(captured - set(ids)) for name, ids in had.items()},
            "more than once, by the same id": {name: len(ids) - len(set(ids)) for name, ids in had.items()},
            "at one of them only": len(set(had["zespan"]) ^ set(had["collector"])),
        }


def run(folder: Path, seed: str, seconds: float, store: str) -> dict[str, Any]:
    """Let one fleet live for so long. Returns what came of it."""
    fleet = Fleet(folder, seed, store)
    with fleet.zespan, fleet.collector:
        until = time.monotonic() + seconds
        fleet.one_after_the_other(until)
        printed = fleet.replay()
        return {"store": store, "replayed": printed, **fleet.count, **fleet.result()}


@contextlib.contextmanager
def aws_with(queues: int) -> Iterator[None]:
    """Play AWS with a bucket and queues, and have the variables of this process lead there."""
    with aws.aws_server() as url:
        os.environ.update(aws.environment(url))
        where = {"LocationConstraint": aws.REGION}
        aws.client("s3", url).create_bucket(Bucket="parked", CreateBucketConfiguration=where)
        for number in range(queues):
            aws.client("sqs", url).create_queue(QueueName=f"parked-{number}")
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", default=str(random.randrange(1_000_000)))
    parser.add_argument("--stores", default="directory,s3,sqs", help="one fleet for each, at the same time")
    given = parser.parse_args()
    stores = given.stores.split(",")
    with tempfile.TemporaryDirectory() as folder, aws_with(len(stores)), ThreadPoolExecutor(len(stores)) as pool:
        runs = []
        for number, store in enumerate(stores):
            (place := Path(folder) / str(number)).mkdir()
            runs.append(pool.submit(run, place, f"{given.seed} {number}", given.seconds, store))
        for done in runs:
            sys.stdout.write(f"seed {given.seed}: {json.dumps(done.result())}\n")


if __name__ == "__main__":
    main()
