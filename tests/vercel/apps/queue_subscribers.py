"""Subscribers of the package vercel-queue, which its embedded service calls. Prints the calls in their order."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import anyio
import vercel.queue
import vercel.queue.embedded
from vercel.headers import HeadersContext

from zespan_serverless import capture, zespan_vercel_queue

TRACEPARENT = sys.argv[1]
calls: list[str] = []
subscribe: Any = vercel.queue.subscribe


@subscribe(topic="orders")
@zespan_vercel_queue
async def coroutine(message: vercel.queue.Message[dict[str, Any]]) -> None:
    capture({"operation": "inside"})
    calls.append("coroutine")
    if message.metadata.delivery_count == 1:
        raise vercel.queue.RetryAfter(0)


@subscribe(topic="letters")
@zespan_vercel_queue(environment="queue")
def sync(payload: Any) -> None:
    capture({"operation": "inside"})
    calls.append("sync")
    if payload.get("raises"):
        raise LookupError("mine")


async def main() -> None:
    async with vercel.queue.embedded.embedded_queue_service() as service:
        client = service.get_async_client()
        await client.send("orders", {"traceparent": TRACEPARENT})
        await client.send("letters", {"traceparent": TRACEPARENT})
        with anyio.fail_after(60):
            while len(calls) < 3:  # noqa: ASYNC110  (a subscriber may run in a thread)
                await anyio.sleep(0.02)
    with HeadersContext({"ce-vqsmessageid": "m9", "ce-vqsqueuename": "letters"}).use():
        try:
            sync({"raises": True, "traceparent": TRACEPARENT})
        except LookupError:
            calls.append("raised")
    json.dump(calls, sys.stdout)


anyio.run(main)
sys.stdout.flush()
os._exit(0)  # nothing is sent after the subscribers have returned
