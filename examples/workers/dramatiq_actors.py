"""Actors of Dramatiq whose messages are traced: dramatiq dramatiq_actors."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from zespan_serverless import span
from zespan_serverless.dramatiq import zespan_dramatiq

dramatiq.set_broker(zespan_dramatiq(RedisBroker(url=os.environ["REDIS_URL"])))


@dramatiq.actor(max_retries=3)
def count_words(text: str) -> None:
    with span("count") as details:
        details["words"] = len(text.split())
