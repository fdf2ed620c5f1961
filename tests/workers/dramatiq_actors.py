"""Actors of Dramatiq: python -m tests.workers.dramatiq_actors '[["work", [1], {}], ...]' sends messages."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

import zespan_serverless
from tests.workers import noting
from tests.workers.noting import captured

broker = RedisBroker(url=os.environ["BROKER"])
broker.add_middleware(AsyncIO())
if os.environ.get("ROOM") == "room":
    from zespan_serverless.dramatiq import zespan_dramatiq

    zespan_dramatiq(broker, on_error=noting.dropped)
elif os.environ.get("ROOM") == "init":
    zespan_serverless.init()
dramatiq.set_broker(broker)


@dramatiq.actor
def work(number: int, seconds: float = 0.0) -> None:
    captured(number=number)
    time.sleep(seconds)


@dramatiq.actor(max_retries=2, min_backoff=10, max_backoff=20)
def fails(number: int) -> None:
    captured(number=number)
    raise ValueError("made up")


@dramatiq.actor(max_retries=0)
def slow(number: int) -> None:
    captured(number=number)
    for _ in range(6000):  # the exception of a time limit strikes between two instructions of Python
        time.sleep(0.01)


@dramatiq.actor
async def asynchronous(number: int) -> None:
    captured(number=number)


@dramatiq.actor(max_retries=1, min_backoff=10, max_backoff=20, time_limit=2000)
def chaos() -> None:
    for seconds in noting.chaos():
        time.sleep(seconds)


@dramatiq.actor(actor_name="chaos async", max_retries=1, min_backoff=10, max_backoff=20, time_limit=2000)
async def chaos_async() -> None:
    for seconds in noting.chaos():
        await asyncio.sleep(seconds)


def send(asked: Any) -> Any:
    if asked == "pipeline":
        with zespan_serverless.run("publisher"):
            (work.message(1) | work.message_with_options(args=(2,), pipe_ignore=True)).run()
            return zespan_serverless.traceparent()
    actors = broker.actors
    return [actors[name].send_with_options(args=args, **options).message_id for name, args, options in asked]


if __name__ == "__main__":
    json.dump(send(json.loads(sys.argv[1])), sys.stdout)
