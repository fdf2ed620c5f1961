"""A worker of Temporal on Lambda. Its handler polls until the deadline is near, which is 6 seconds after its start."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.aws.lambda_worker import LambdaWorkerConfig, run_worker
from temporalio.worker import WorkerDeploymentConfig

from tests.workers.temporal_worker import TwoActivities, asynchronous
from zespan_serverless import flush
from zespan_serverless.temporal import ZespanInterceptor

VERSION = WorkerDeploymentVersion(deployment_name="tests", build_id="1")


def configure(config: LambdaWorkerConfig) -> None:
    behavior = VersioningBehavior.AUTO_UPGRADE
    more: dict[str, Any] = {
        "task_queue": "lambda",
        "workflows": [TwoActivities],
        "activities": [asynchronous],
        "interceptors": [ZespanInterceptor()],
        "graceful_shutdown_timeout": timedelta(seconds=1),
        "deployment_config": WorkerDeploymentConfig(VERSION, True, default_versioning_behavior=behavior),
    }
    config.worker_config.update(more)
    config.shutdown_deadline_buffer = timedelta(seconds=2)
    config.shutdown_hooks.append(_flush)


def _flush() -> None:
    flush(1)


class Soon:
    """A context whose deadline is near."""

    def __init__(self) -> None:
        self._end = time.monotonic() + 6

    def get_remaining_time_in_millis(self) -> float:
        return (self._end - time.monotonic()) * 1000


worker = run_worker(VERSION, configure)


def handler(event: object, context: object) -> None:
    worker(event, Soon())
