"""A Celery application. ROOM is how it is traced: `room`, `init`, or nothing.

python -m tests.workers.celery_app '[["work", [1], {"queue": "q"}], ...]' publishes tasks, in a trace if TRACED is set.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from celery import Celery, chain, chord, group
from celery.exceptions import Ignore, SoftTimeLimitExceeded

import zespan_serverless
from tests.workers import noting
from tests.workers.noting import captured

BROKER = os.environ["BROKER"]
app = Celery("tests", broker=BROKER, backend=os.environ.get("RESULTS"))
app.conf.update(
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_ignore_result=False,
    worker_hijack_root_logger=False,
)
if os.environ.get("ROOM") == "room":
    zespan_serverless.zespan_celery(app, on_error=noting.dropped, **json.loads(os.environ.get("SETTINGS", "{}")))
elif os.environ.get("ROOM") == "init":
    zespan_serverless.init()


@app.task(name="work")
def work(number: int, seconds: float = 0.0) -> int:
    captured(number=number)
    time.sleep(seconds)
    return number


@app.task(name="fails")
def fails(number: int) -> None:
    captured(number=number)
    raise ValueError("made up")


@app.task(name="ignored")
def ignored(number: int) -> None:
    captured(number=number)
    raise Ignore()


@app.task(name="retried", bind=True)
def retried(self: Any, number: int) -> int:
    captured(number=number)
    if self.request.retries < 2:
        raise self.retry(countdown=0, exc=ValueError("again"))
    return number


@app.task(name="soft")
def soft(number: int) -> str:
    captured(number=number)
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        captured(number=number, soft=True)
        raise
    return "never"


@app.task(name="cleans up")
def cleans_up(number: int) -> None:
    """Takes long to end when its process is terminated."""
    captured(number=number)
    try:
        time.sleep(60)
    finally:
        captured(number=number, cleanup=True)
        time.sleep(60)


@app.task(name="total")
def total(numbers: list[int]) -> int:
    captured(total=len(numbers))
    return sum(numbers)


@app.task(name="chaos", bind=True)
def chaos(self: Any) -> None:
    for seconds in noting.chaos(lambda: app.control.revoke(self.request.id, terminate=True)):
        time.sleep(seconds)


def canvas() -> None:
    """A chain, and a chord: a group of tasks, then one."""
    chain(work.si(1), work.si(2), group(work.si(3), work.si(4))).apply_async()
    chord([work.si(5), work.si(6)], total.s()).apply_async()


def publish(tasks: list[Any]) -> list[str]:
    """Send tasks: a name, arguments, and options each."""
    return [app.tasks[name].apply_async(args, **options).id for name, args, options in tasks]


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if os.environ.get("TRACED"):
        with zespan_serverless.run("publisher"):
            canvas() if asked == "canvas" else publish(asked)
            json.dump(zespan_serverless.traceparent(), sys.stdout)
    else:
        json.dump(publish(asked), sys.stdout)
