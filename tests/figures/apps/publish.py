"""Publishes tasks for a worker of this folder: `python -m tests.figures.apps.publish '"celery"' 20`."""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    queue, count = map(json.loads, sys.argv[1:])
    if queue == "celery":
        from celery import Celery

        app = Celery("figures", broker=os.environ["BROKER"])
        for _ in range(count):
            app.send_task("work")
    else:
        from redis import Redis
        from rq import Queue

        jobs = Queue(connection=Redis.from_url(os.environ["BROKER"]))
        for _ in range(count):
            jobs.enqueue("tests.figures.apps.rq_jobs.work")
