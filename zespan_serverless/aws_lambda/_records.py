"""`traced_records(event)`, `traced_record(record)`: the work on each record of a batch, in its sender's trace."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._record.record import Record
from .._trace.context import parse_traceparent
from . import _batches, _events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._process.container import Container


def traced_records(event: Any) -> Iterator[Any]:
    """The records of an SQS, SNS, Kinesis, DynamoDB, S3, Kafka, MQ or DocumentDB event, each traced in its turn.

        for record in traced_records(event):
            answer = client.chat.completions.create(...)  # in the trace of whoever sent this record

    What the loop's body does becomes one event, "process <queue>", until the loop asks for the next record or is left.
    It belongs to the trace of the record's `traceparent`, with a link to the invocation; without one, to the
    invocation. Calls in other threads stay with the invocation. An event without records gives none.

    A generator does not see what its loop's body raises. If that ends the invocation, the record's event has the error
    too. (So it has if you `break`, and something else fails later: that cannot be told apart.) What you catch yourself
    is yours to tell: `with span("step"):` around it shows it.

    For records that are worked on several at a time, and for loops over two events in step (`zip`), there is
    `traced_record`.
    """
    found = _found(event)
    for record in _batches.records(event):
        step = _begin(found, record)
        try:
            yield record
        except BaseException:  # GeneratorExit: the loop is left by break, by return, or by an exception
            _end(step, left=True)
            raise
        _end(step, left=False)


@contextmanager
def traced_record(record: Any, event: Any = None) -> Iterator[None]:
    """The work on one record: the same event as from `traced_records`, from tasks and threads that work at once.

        async def work(record):
            with traced_record(record):
                answer = await client.chat.completions.create(...)  # in the trace of whoever sent this record

        await asyncio.gather(*map(work, event["Records"]))

    What the block raises is the event's error, and passes. A record of Kafka, MQ or DocumentDB does not say where it
    is from: give the `event` too.
    """
    step = _begin(_found([_batches.plain(record)] if event is None else event), record)
    try:
        yield
    except BaseException as error:
        _finish(step, error)
        raise
    _finish(step, None)


def _found(event: Any) -> _batches.Batch | None:
    """What kind of batch an event is; None if it is none, or cannot be looked at."""
    with Guarded("the records of an event"):
        return _batches.batch(_batches.plain(event))
    return None


def _begin(found: _batches.Batch | None, record: object) -> _Step | None:
    container = _process.current()
    if container is None or found is None:
        return None
    try:
        return _Step(container, found, _batches.plain(record))
    except Exception as problem:
        pass_on(problem)
        container.lost(problem)
        return None


def _end(step: _Step | None, *, left: bool) -> None:
    if step is not None:
        with Guarded("the work on a record"):
            step.left() if left else step.done()


def _finish(step: _Step | None, error: BaseException | None) -> None:
    if step is not None:
        with Guarded("the work on a record"):
            step.finished(error)


class _Step:
    """The work on one record. It ends once: by whoever takes it out of `root.open`, loop, block or invocation."""

    def __init__(self, container: Container, found: _batches.Batch, record: object) -> None:
        here, root = _trace.current(), _trace.root()
        producer = parse_traceparent(found.traceparent(record, _batches.Parser()))
        self.span = _trace.new_span(here)
        self.metadata = _events.about(found, record)
        if producer is not None:
            self.span.trace_id, self.span.parent_span_id = producer
            invocation = root or here
            if invocation is not None:
                link = {"type": "invocation", "trace_id": invocation.trace_id, "span_id": invocation.span_id}
                self.metadata["links"] = [link]
        name = self.metadata.get(found.kind.called) or found.name
        self.name = f"process {name}" if name else "process"
        self.container = container
        self.ended: tuple[float, float] | None = None  # when, and after how many milliseconds
        self.handled = sys.exception()  # by whoever called the handler; none of its own
        self.root = self.span.root
        self.root.open[id(self)] = self.invocation_over
        self.here = _trace.enter(self.span)
        self.began = time.perf_counter()

    def done(self) -> None:
        """The loop has asked for the next record."""
        if self._stop():
            self._send(None)

    def left(self) -> None:
        """The loop has been left. Why, only the end of the invocation will tell: with an error, or without."""
        root = _trace.root()
        if self._stop() and (root is None or root.root is not self.root):
            self._send(None)  # there is no invocation under way

    def finished(self, error: BaseException | None) -> None:
        """The block has been left: in its own thread or task, so what is current is ours, and may be of another one."""
        self.here.leave()
        self._close()
        self._send(error)

    def invocation_over(self) -> None:
        """Called by the invocation's end, while what ends it, if anything, is being handled."""
        error = sys.exception()
        self._close()
        self._send(error if error is not self.handled else None)

    def _stop(self) -> bool:
        """Leave the record's span, unless the invocation was over first: then what is current is no longer ours."""
        if id(self) not in self.root.open:
            return False
        self.here.leave()
        self._close()
        return True

    def _close(self) -> None:
        """The event ends now, whenever it may be sent."""
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
