"""A job of RQ; `python -m tests.figures.apps.rq_jobs 20` enqueues it 20 times."""

from __future__ import annotations

import os
import sys

from redis import Redis
from rq import Queue

from tests.figures import subject

subject.start()


def work() -> None:
    subject.ask()


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ["BROKER"]))
    for _ in range(int(sys.argv[1])):
        queue.enqueue("tests.figures.apps.rq_jobs.work")
