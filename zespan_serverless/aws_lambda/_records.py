"""`traced_records(event)` and `traced_record(record)` trace the work on each record in its sender's trace."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._record.record import Record
from .._trace.context import caller_of
from . import _batches, _carried, _events, _reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._process.container import Container


def traced_records(event: Any) -> Iterator[Any]:
    """Iterate over the records of an SQS, SNS, Kinesis, DynamoDB, S3, Kafka, MQ or DocumentDB event, and trace each::

        for record in traced_records(event):
            answer = client.chat.completions.create(...)  # in the trace of its sender

    Each pass of the loop becomes one event, "process <queue>", which ends when the loop requests the next record or is
    left. It belongs to the trace of the record's `traceparent`, with a link to the invocation. A record without a
    traceparent belongs to the trace of the invocation, like calls in other threads. An event without records yields
    nothing.

    A generator cannot see an exception that the loop's body raises. If the exception ends the invocation, the event of
    the last record is marked with it as well. (This also happens after a `break` if something else fails later, because
    the two cases look the same.) An exception that you catch inside the loop is not recorded; put `with span("step"):`
    around the code that may raise it.

    Use `traced_record` for records that are processed concurrently, and for a loop over several events at once (`zip`).
    """
    batch = _found(event)
    for record in _batches.records(event):
        step = _begin(batch, record)
        try:
            yield record
        except BaseException:  # GeneratorExit: the loop is left by break, by return, or by an exception
            _end(step, left=True)
            raise
        _end(step, left=False)


@contextmanager
def traced_record(record: Any, event: Any = None) -> Iterator[None]:
    """Trace the work on one record: the same event as from `traced_records`, for concurrent tasks and threads::

        async def work(record):
            with traced_record(record):
                answer = await client.chat.completions.create(...)  # in the trace of its sender

        await asyncio.gather(*map(work, event["Records"]))

    An exception of the block marks the event as failed, and propagates. Also pass the `event` for a record of Kafka, MQ
    or DocumentDB, because such a record does not name its source.
    """
    step = _begin(_found([_reading.unwrap_event(record)] if event is None else event), record)
    try:
        yield
    except BaseException as error:
        _finish(step, error)
        raise
    _finish(step, None)


def _found(event: Any) -> _batches.Batch | None:
    """Return the batch of an event; None if it is not a batch of a known source, or cannot be read."""
    with Guarded("the records of an event"):
        return _batches.batch(_reading.unwrap_event(event))
    return None


def _begin(batch: _batches.Batch | None, record: object) -> _Step | None:
    container = _process.current()
    if container is None or batch is None:
        return None
    try:
        return _Step(container, batch, _reading.unwrap_event(record))
    except Exception as problem:
        pass_on(problem)
        container.lost(problem)
        return None


def _end(step: _Step | None, *, left: bool) -> None:
    if step is not None:
        with Guarded("the work on a record"):
            if left:
                step.left()
            else:
                step.done()


def _finish(step: _Step | None, error: BaseException | None) -> None:
    if step is not None:
        with Guarded("the work on a record"):
            step.finished(error)


class _Step:
    """The work on one record. It ends once: whichever removes it from `root.open` first, loop, block or invocation."""

    def __init__(self, container: Container, batch: _batches.Batch, record: object) -> None:
        here, root = _trace.current(), _trace.root()
        producer = caller_of(_carried.ContextFinder().of(batch, record))
        self.span = _trace.new_span(here)
        self.metadata = _events.record_attributes(batch, record)
        if producer is not None and producer.trace_id:
            self.span.trace_id, self.span.parent_span_id = producer.trace_id, producer.span_id
            self.span.caller = producer
            invocation = root or here
            if invocation is not None:
                link = {"type": "invocation", "trace_id": invocation.trace_id, "span_id": invocation.span_id}
                self.metadata["links"] = [link]
        name = self.metadata.get(batch.kind.called) or batch.name
        self.name = f"process {name}" if name else "process"
        self.container = container
        self.ended: tuple[float, float] | None = None  # seconds since the epoch, duration in milliseconds
        self.handled = sys.exception()  # being handled by the caller of the handler, so not an error of this record
        self.root = self.span.root
        self.root.open[id(self)] = self.invocation_over
        self.here = _trace.enter(self.span)
        self.began = time.perf_counter()

    def done(self) -> None:
        """End the step, because the loop has requested the next record."""
        if self._stop():
            self._send(None)

    def left(self) -> None:
        """Note that the loop was left early. Whether by an error is known only when the invocation ends."""
        root = _trace.root()
        if self._stop() and (root is None or root.root is not self.root):
            self._send(None)  # there is no current invocation

    def finished(self, error: BaseException | None) -> None:
        """End the step with its block, which runs in one thread or task, whose current span is this record's."""
        self.here.leave()
        self._close()
        self._send(error)

    def invocation_over(self) -> None:
        """End the step at the end of the invocation, while an exception that ends it is being handled."""
        error = sys.exception()
        self._close()
        self._send(error if error is not self.handled else None)

    def _stop(self) -> bool:
        """Leave the record's span. Return False if the invocation ended first, because then another span is current."""
        if id(self) not in self.root.open:
            return False
        self.here.leave()
        self._close()
        return True

    def _close(self) -> None:
        """Record the end of the event now; it may be sent later."""
        if self.ended is None:
            self.ended = (time.time(), (time.perf_counter() - self.began) * 1000)

    def _send(self, error: BaseException | None) -> None:
        if self.root.open.pop(id(self), None) is None or self.ended is None:
            return
        at, took_ms = self.ended

        def made() -> Record:
            record = Record(self.span, self.container.resource, "general", self.name, took_ms, self.metadata, ended=at)
            if error is not None:
                record.fail(error)
                record.attributes = {**self.metadata, "error.type": type(error).__name__}
            return record

        self.container.capture(made, self.span.span_id)
