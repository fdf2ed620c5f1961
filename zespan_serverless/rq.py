"""RQ: workers that trace every job, `rq worker -w zespan_serverless.rq.ZespanWorker`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rq import SimpleWorker, Worker  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
from rq.timeouts import BaseTimeoutException  # pyright: ignore[reportMissingImports]
from rq.worker import SpawnWorker  # pyright: ignore[reportMissingImports]

from . import _worker
from ._base.guard import FROM_HOSTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar

    from .settings import SettingsKwargs

__all__ = ["ZespanSimpleWorker", "ZespanSpawnWorker", "ZespanWorker"]

FROM_HOSTS.append(BaseTimeoutException)  # a job's time limit, which RQ enforces by SIGALRM or from another thread


class _Traced:
    """Traces each attempt of a job as one root event, and flushes before its process ends.

    A job belongs to the trace of its `meta`: `queue.enqueue(function, meta=trace_headers())`. Settings come from the
    environment, or from `zespan_settings` of a subclass. The journal is on unless ZESPAN_JOURNAL says otherwise.
    """

    zespan_settings: ClassVar[SettingsKwargs] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        """Create a worker. Raise ConfigurationError here for wrong settings, because a job would fail with it."""
        _worker.checked(self.zespan_settings)
        super().__init__(*args, **options)

    def perform_job(self, job: Any, *args: Any, **options: Any) -> Any:
        """Perform a job, whose function runs in a trace."""
        perform = job.perform

        def traced() -> Any:
            with _worker.task_of(
                _worker.checked(self.zespan_settings),
                job,
                lambda: (job.id, job.func_name, lambda name: job.meta.get(name), _attributes(job)),
                seconds=job.timeout,
                is_killed=False,  # the time limit is an exception in the job, which the process survives
            ):
                return perform()

        job.perform = traced
        try:
            return super().perform_job(job, *args, **options)  # type: ignore[misc]
        finally:
            del job.perform
            if getattr(self, "is_horse", False):  # which ends by os._exit
                _worker.finish()


class ZespanWorker(_Traced, Worker):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """`rq.Worker`, which forks a process for each job."""

    def fork_work_horse(self, *args: Any, **options: Any) -> Any:
        """Fork the process of a job, which finds the package's modules imported."""
        _worker.prepare()
        return super().fork_work_horse(*args, **options)


class ZespanSpawnWorker(_Traced, SpawnWorker):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """`rq.worker.SpawnWorker`, which spawns a process for each job."""


class ZespanSimpleWorker(_Traced, SimpleWorker):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """`rq.SimpleWorker`, which performs jobs in its own process."""


def _attributes(job: Any) -> Mapping[str, object]:
    """Return the queue's attributes of a job."""
    return {
        "messaging.system": "rq",
        "messaging.destination.name": job.origin,
        "messaging.message.id": job.id,
        "rq.retries_left": job.retries_left,
        "rq.worker": job.worker_name,
        "rq.enqueued_at": job.enqueued_at.isoformat() if job.enqueued_at else None,
    }
