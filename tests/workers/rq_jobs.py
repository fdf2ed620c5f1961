"""Jobs of RQ, and what enqueues them: python -m tests.workers.rq_jobs '[["work", [1], {"meta": {}}], ...]'."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from tests.workers import noting
from tests.workers.noting import captured

if os.environ.get("ROOM") == "init":
    import zespan_serverless

    zespan_serverless.init()


def work(number: int, seconds: float = 0.0) -> int:
    captured(number=number)
    time.sleep(seconds)
    return number


async def asynchronous(number: int) -> int:
    captured(number=number)
    return number


def imported(number: int) -> None:
    """Note which modules this process has found imported."""
    with open(os.environ["IDS"] + " imported", "w") as file:  # noqa: PTH123
        file.write("\n".join(sys.modules))
    captured(number=number)


def fails(number: int) -> None:
    captured(number=number)
    raise ValueError("made up")


def slow(number: int) -> None:
    captured(number=number)
    time.sleep(60)


def chaos() -> None:
    from rq import get_current_job
    from rq.command import send_stop_job_command

    job = get_current_job()
    for seconds in noting.chaos(lambda: send_stop_job_command(job.connection, job.id)):
        time.sleep(seconds)


def enqueue(tasks: list[Any]) -> list[str]:
    from redis import Redis
    from rq import Queue, Retry

    queue = Queue(connection=Redis.from_url(os.environ["BROKER"]))
    for _, _, options in tasks:
        if "retry" in options:
            options["retry"] = Retry(max=options["retry"])
    return [queue.enqueue(f"tests.workers.rq_jobs.{name}", *args, **options).id for name, args, options in tasks]


if __name__ == "__main__":
    json.dump(enqueue(json.loads(sys.argv[1])), sys.stdout)
