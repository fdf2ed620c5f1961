"""Enqueue a job of RQ in the current trace: rq worker -w zespan_serverless.rq.ZespanWorker."""

import os

from redis import Redis
from rq import Queue

from zespan_serverless import run, trace_headers

queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))


def count_words(text: str) -> int:
    return len(text.split())


def publish(text: str) -> None:
    with run("publisher"):  # or in a traced request
        queue.enqueue(count_words, text, meta=trace_headers())
