"""A worker of Temporal whose activities are traced: python temporal_worker.py."""

import asyncio
import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from zespan_serverless.temporal import ZespanInterceptor


@activity.defn
async def count_words(text: str) -> int:
    return len(text.split())


@workflow.defn
class Report:
    @workflow.run
    async def run(self, text: str) -> int:
        limit = timedelta(seconds=30)
        words: int = await workflow.execute_activity(count_words, text, start_to_close_timeout=limit)
        return words


async def connect() -> Client:
    return await Client.connect(os.environ["TEMPORAL_ADDRESS"], interceptors=[ZespanInterceptor()])


async def main() -> None:
    await Worker(await connect(), task_queue="reports", workflows=[Report], activities=[count_words]).run()


if __name__ == "__main__":
    asyncio.run(main())
