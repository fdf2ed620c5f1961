"""Messages that any program may have written, in workers of this process; prints the events.

python -m tests.workers.odd_messages '"celery"', or dramatiq or rq
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import zespan_serverless
from tests.support import SPAN, TRACE, TRACEPARENT

SECRET = "sk-proj-" + "a1B2" * 12  # in arguments, which no event has
ODD: list[Any] = [
    *("", "00-zz", "x" * 100_000, f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", 7, 1.5, True),
    *([TRACEPARENT], {"traceparent": TRACEPARENT}, [None], {}),
]
HEADERS = [{"traceparent": odd} for odd in ODD]
HEADERS += [{"traceparent": TRACEPARENT, name: odd} for odd in ODD for name in ("tracestate", "baggage")]
called: list[int] = []


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError(SECRET)

    __str__ = __repr__


def job(text: str) -> None:
    called.append(len(text))


def celery() -> None:
    """Of a worker in a thread, with a broker in memory; then eager tasks."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = zespan_serverless.zespan_celery(Celery("odd", broker="memory://", backend="cache+memory://"))

    @app.task(name="odd")
    def odd(text: str, thing: object = None) -> None:
        job(text)

    @app.task(name="outer")
    def outer() -> None:
        odd.apply((SECRET,))
        odd(SECRET)

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        results = [odd.apply_async((SECRET * 1000,), headers=headers) for headers in HEADERS]
        for result in results:
            result.get(timeout=60)
    zespan_serverless.capture({"operation": "eager from here"})
    for headers in (*HEADERS, None, {}):
        odd.apply((SECRET, Unprintable()), headers=headers)
    zespan_serverless.capture({"operation": "nested from here"})
    outer.apply(headers={"traceparent": TRACEPARENT})


def dramatiq() -> None:
    """Of a worker in this process, with a broker in memory."""
    import dramatiq
    from dramatiq.brokers.stub import StubBroker

    from zespan_serverless.dramatiq import zespan_dramatiq

    broker = zespan_dramatiq(StubBroker())
    limits: list[float | None] = []

    @dramatiq.actor(broker=broker, time_limit=5000, max_retries=0)
    def odd(text: str) -> None:
        limits.append(zespan_serverless.time_left())
        job(text)

    @dramatiq.actor(broker=broker)
    def unlimited(text: str) -> None:
        limits.append(zespan_serverless.time_left())

    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    for headers in HEADERS:
        odd.send_with_options(args=(SECRET * 1000,), **headers)
    broker.join("default")
    assert all(limit is not None and 0 < limit <= 5 for limit in limits), limits
    limits.clear()
    unlimited.send_with_options(args=(SECRET,), time_limit=90_000)
    unlimited.send(SECRET)
    unlimited.send_with_options(args=(SECRET,), time_limit=float("inf"))
    broker.join("default")
    assert [None if limit is None else round(limit, -1) for limit in limits] == [90, 600, None], limits
    worker.stop()


def rq() -> None:
    """Of a worker in this process, on Redis."""
    from redis import Redis
    from rq import Queue
    from rq.serializers import JSONSerializer

    from zespan_serverless.rq import ZespanSimpleWorker

    connection = Redis.from_url(os.environ["BROKER"])
    queue = Queue(connection=connection, serializer=JSONSerializer)
    for headers in HEADERS:
        queue.enqueue("tests.workers.odd_messages.job", SECRET * 1000, meta=headers)
    for meta in ([1, 2], "text"):  # RQ itself fails with others
        queue.enqueue("tests.workers.odd_messages.job", SECRET, meta=meta)
    worker = ZespanSimpleWorker([queue], connection=connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="ERROR")
    module = sys.modules["tests.workers.odd_messages"]  # RQ imports this file by its name
    called.extend(module.called)


if __name__ == "__main__":
    from zespan_serverless import testing

    with testing.recording() as events:
        {"celery": celery, "dramatiq": dramatiq, "rq": rq}[json.loads(sys.argv[1])]()
    json.dump({"called": len(called), "sent": len(HEADERS), "events": events}, sys.stdout)
