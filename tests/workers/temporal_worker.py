"""A worker of Temporal, and what starts workflows.

python -m tests.workers.temporal_worker ADDRESS work            serves until SIGTERM
python -m tests.workers.temporal_worker ADDRESS start N ACTIVITY    starts N workflows of 2 activities, in a trace each,
                                                            the first one by an update
python -m tests.workers.temporal_worker ADDRESS chaos N NAME    starts N workflows of 10 activities that end in any way
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import signal
import sys
import time
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import zespan_serverless
    from tests.workers import noting
    from tests.workers.noting import captured
    from zespan_serverless.temporal import ZespanInterceptor


@activity.defn
def work(number: int) -> int:
    captured(number=number)
    return number


@activity.defn
async def asynchronous(number: int) -> int:
    captured(number=number)
    await asyncio.sleep(0)
    return number


@activity.defn
def flaky(number: int) -> int:
    captured(number=number)
    if activity.info().attempt < 3:
        raise ValueError("again")
    return number


@activity.defn
async def slow(number: int) -> int:
    captured(number=number)
    await asyncio.sleep(30)
    return number


@activity.defn(name="chaos")
def chaos() -> None:
    for number, seconds in enumerate(noting.chaos()):
        if number % 20 == 0:
            activity.heartbeat()  # by which the worker hears of a cancellation
        time.sleep(seconds)


@activity.defn(name="chaos async")
async def chaos_async() -> None:
    info = activity.info()

    def cancel() -> None:
        handle = activity.client().get_workflow_handle(info.workflow_id)
        tasks.append(asyncio.ensure_future(handle.cancel()))

    tasks: list[Any] = []
    for number, seconds in enumerate(noting.chaos(cancel)):
        if number % 20 == 0:
            activity.heartbeat()
        await asyncio.sleep(seconds)


@workflow.defn
class Chaos:
    @workflow.run
    async def run(self, count: int) -> None:
        """Run activities of both kinds, all at once; some of them take too long, or are tried again."""
        limits: dict[str, Any] = {
            "start_to_close_timeout": timedelta(seconds=4),
            "heartbeat_timeout": timedelta(seconds=3),
            "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=3),
        }
        names = [["chaos", "chaos async"][number % 2] for number in range(count)]
        await asyncio.gather(*(workflow.execute_activity(name, **limits) for name in names), return_exceptions=True)


@workflow.defn
class TwoActivities:
    @workflow.run
    async def run(self, name: str) -> int:
        total = 0
        for number in range(2):
            total += await workflow.execute_activity(
                name,
                number,
                start_to_close_timeout=timedelta(seconds=1 if name == "slow" else 30),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=10), maximum_attempts=1 if name == "slow" else 5
                ),
            )
        return total

    @workflow.update
    async def greet(self) -> str:
        return "hello"


def interceptors() -> list[Any]:
    return [ZespanInterceptor(on_error=noting.dropped)] if os.environ.get("ROOM") == "room" else []


WORKFLOWS = [TwoActivities, Chaos]


async def serve(client: Client) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    activities: list[Any] = [work, asynchronous, flaky, slow, chaos, chaos_async]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        # Without a cache each step of a workflow replays it from the beginning.
        options: dict[str, Any] = {"activity_executor": pool, "max_cached_workflows": 0}
        async with Worker(client, task_queue="q", workflows=WORKFLOWS, activities=activities, **options):
            await stop.wait()


async def begin(client: Client, count: int, name: str) -> None:
    """Start workflows, and do not wait for them."""
    for number in range(count):
        options: dict[str, Any] = {"id": f"{name}-begun-{number}", "task_queue": os.environ["QUEUE"]}
        await client.start_workflow(TwoActivities.run, name, **options)


async def alone(client: Client, name: str) -> list[str | None]:
    """Start an activity without a workflow."""
    with zespan_serverless.task_scope("starter"):
        limit = timedelta(seconds=30)
        handle = await client.start_activity(name, args=[7], id="alone", task_queue="q", start_to_close_timeout=limit)
        traces = [zespan_serverless.traceparent()]
    await handle.result()
    return traces


async def start(client: Client, count: int, name: str) -> list[str | None]:
    traces = []
    handles = []
    for number in range(count):
        with zespan_serverless.task_scope("starter"):
            traces.append(zespan_serverless.traceparent())
            options: dict[str, Any] = {"id": f"{name}-{number}", "task_queue": "q"}
            if number:
                handles.append(await client.start_workflow(TwoActivities.run, name, **options))
            else:
                fail = WorkflowIDConflictPolicy.FAIL
                begun = WithStartWorkflowOperation(TwoActivities.run, name, id_conflict_policy=fail, **options)
                await client.execute_update_with_start_workflow(TwoActivities.greet, start_workflow_operation=begun)
                handles.append(await begun.workflow_handle())
    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    return traces


async def main(address: str, what: str, *args: str) -> None:
    client = await Client.connect(address, interceptors=interceptors())
    if what == "work":
        await serve(client)
    elif what == "alone":
        json.dump(await alone(client, args[1]), sys.stdout)
    elif what == "begin":
        await begin(client, int(args[0]), args[1])
    elif what == "chaos":
        for number in range(int(args[0])):
            await client.start_workflow(Chaos.run, 10, id=f"{args[1]}-{number}", task_queue="q")
    else:
        json.dump(await start(client, int(args[0]), args[1]), sys.stdout)


if __name__ == "__main__":
    if os.environ.get("ROOM") == "init":
        zespan_serverless.init()
    asyncio.run(main(*sys.argv[1:]))
    if sys.argv[2] != "work":
        # Temporal's threads crash now and then while Python ends after a client alone:
        # https://github.com/temporalio/sdk-python/issues/300
        zespan_serverless.shutdown()
        sys.stdout.flush()
        os._exit(0)
