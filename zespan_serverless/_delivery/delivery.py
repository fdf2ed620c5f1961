"""The delivery: takes the events of one process from capture to one exporter.

    journal of a dead process --+                    +<---- retry ----+
                                v                    v                |
    capture() --------------> intake ------------> waiting -------> in flight -------> delivered
                                |                    |              |  ^  |  |
                                |                    |      refused |  |  |  | too slow
                                |                    |              v  |  |  v
                                |                    |             halves |  slow -----> in flight, after all others
                                v                    v                    v
                             dropped              dropped              dropped

    captured     + 1 into the intake, whether from `capture` or from a dead process's journal         (`Intake`)
    delivered    + 1 for each event of a batch that the exporter has delivered (`Sending`)
    dropped      + 1 out of the intake: `too_large`, `unencodable`, `torn`, or `closed` after `close`   (`Accounts`)
                     out of the oldest that are waiting: `buffer_full`                                  (`Buffer`)
                     out of flight: `refused`, `unauthorized`, or `too_large` if it was slow too often  (`Sending`)
                     from wherever it is when the delivery is closed: `closed`                          (`Delivery`)

    parked       + 1 for each event of a batch that the fallback has taken, instead of the exporter      (`Parking`)

At every moment captured = delivered + parked + pending + dropped: `pending` are the events on their way, and the
arrows between intake, waiting, in flight, halves and slow change no counter. With a journal an event is on disk from
`waiting` until it is settled (delivered, parked or dropped), and the next process takes over what is left.

    accounts    what the lock protects       worker   the one thread that sends     buffer    events not settled yet
    intake      encodes and counts events    sending  what that thread does         journal   the same on disk
    waiters     flushes under way            notices  for on_error, on_flush, log
    flushing    how a flush waits            breaker  whether to try at all         budget    how long to take
    background  unattended flushes

Only one thread sends. All others wait for wakeups, and so can return at any deadline, whatever a socket does.

No code of others runs while the lock is held: no I/O with a backend, no `on_error`, `on_flush` or log handler, no
method of an exporter, no callback of an asynchronous flush, and no start of a thread. Each of these may wait for a
thread that waits for our lock. What has to be called is queued, and called by `Accounts.after_release`.

A signal handler may raise an exception anywhere in the main thread. The lock is then free (it is only ever held by
`with` on the lock itself). An event that is being moved stays first in the intake, and the next caller completes it.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .._base import log, threads
from .._base.guard import Guarded, had_begun, is_from_signal
from .._base.reports import FlushReport
from .accounts import Accounts
from .background import Background
from .flushing import Flushing
from .intake import Intake
from .sending import ExporterCalls, Sending
from .worker import ABORT_GRACE, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._base.exporter import Exporter
    from .._record.record import Record
    from ..settings import Settings
    from .journal import Journal
    from .waiters import FlushWaiter

__all__ = ["Delivery", "FlushReport"]


class Delivery:
    """Captures events, and delivers them to one exporter. Safe for threads, signal handlers and finalizers."""

    def __init__(
        self,
        exporter: Exporter,
        settings: Settings,
        journal: Journal | None = None,
        name: str = "",
        fallback: Exporter | None = None,
    ) -> None:
        self._destination = ""
        with Guarded("the exporter's destination"):
            self._destination = str(getattr(exporter, "destination", ""))[: log.TEXT_MAX]
        self._accounts = Accounts(settings, journal, name)
        if fallback is None:
            self._exporter = ExporterCalls(exporter)
        else:
            from .parking import park_in

            self._exporter = park_in(fallback, self._accounts, exporter)
        self._intake = Intake(self._accounts, exporter, self._notify_here)
        self._sending = Sending(self._accounts, self._exporter)
        self.flushing: Flushing = Flushing(self._accounts, self._sending.idle_seconds)
        self._background = Background(self._accounts, self.flushing)
        self.has_journal: bool = journal is not None
        self._pid = 0
        self.reset()

    # Counters

    @property
    def captured(self) -> int:
        """Events captured so far, including those taken over from dead processes."""
        with self._accounts.lock:
            return self._accounts.buffer.last_number + len(self._accounts.intake)

    @property
    def pending(self) -> int:
        """Events neither delivered nor parked nor dropped."""
        with self._accounts.lock:
            return len(self._accounts.buffer) + len(self._accounts.intake)

    @property
    def delivered(self) -> int:
        """Events that the exporter has delivered."""
        return self._accounts.delivered

    @property
    def parked(self) -> int:
        """Events that the fallback has taken."""
        return self._accounts.parked

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events dropped so far, by reason."""
        return self._accounts.dropped

    @property
    def lost(self) -> int:
        """Events dropped so far, for all reasons together."""
        with self._accounts.lock:
            return sum(self._accounts.dropped.values())

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._accounts.closed

    def is_reentrant(self) -> bool:
        """Whether a finalizer or a signal handler has interrupted this thread in here, and must not wait."""
        return self._accounts.is_reentrant()

    # Capturing

    def capture(self, record: Record) -> None:
        """Take an event. Never blocks on a backend, never raises; an event that cannot be kept is counted as dropped.

        An exception of the user's signal handler is raised again when the event has been taken.
        """
        intake = self._intake
        try:
            item = intake.item(record)
        except BaseException as error:
            if isinstance(error, Exception) and not is_from_signal(error):
                intake.receive(intake.unencodable(log.describe(error), record.span_id))
                return
            intake.receive(intake.item_again(record))
            raise
        try:
            intake.receive(item)
        except BaseException as error:
            if not had_begun(error):
                intake.receive(item)
            raise

    def drop_unencodable(self, detail: str, span_id: str | None = None) -> None:
        """Count an event that could not even be built as dropped (`unencodable`); `detail` says why.

        `span_id`: the span that it would have ended. Never blocks, never raises.
        """
        self._intake.receive(self._intake.unencodable(detail, span_id or ""))

    def record_open(self, begun: Record, is_over: Callable[[], bool] = bool) -> None:
        """Note that a span has begun, in case the process dies before its end. Never raises.

        `begun` has what is known of the span by now. Nothing is noted if the span `is_over` already.
        """
        self._intake.record_open(begun, is_over)

    def forget_open(self, span_id: str) -> None:
        """Note that a span has ended without an event."""
        self._intake.forget_open(span_id)

    def mark_deadline(self, trace_id: str, note: Mapping[str, Any]) -> list[Record]:
        """Record that a trace's invocation has reached its deadline. Returns the begin records of its open spans."""
        return self._intake.mark_deadline(trace_id, note)

    def ensure_sender(self) -> None:
        """Start the sender, which opens its connection. Called while the function is busy with something else."""
        self._accounts.worker.ensure_thread()

    # Flushing

    def flush(self, timeout: float, *, probe: bool = False, last: bool = False) -> FlushReport:
        """Wait until every event captured before this call is settled, for at most `timeout` seconds.

        Settled means delivered, parked, or dropped and reported to `on_error`. With 0 seconds nothing is sent. With
        `probe` one attempt is made even though the backend is known to be unreachable. If the process ends after this
        flush, it is the `last` one: what cannot be delivered in half of its time goes to the fallback.
        """
        return self.flushing.flush(timeout, probe=probe, last=last)

    def flush_in_background(self, timeout: float, *, wait: bool = True) -> None:
        """Let a background thread flush until nothing is pending, for hosts whose process keeps running.

        Cheap if a flush has been asked for already. Where no thread can be started, the calling thread flushes, unless
        `wait` is False.
        """
        self._background.ask(timeout, wait=wait)

    def begin_flush(self, timeout: float, done: Callable[[], object]) -> Callable[[], FlushReport]:
        """Begin a flush that no thread waits for. Returns the function that ends it, finished or not.

        `done` is called when `flush` would return, or never if the time is over first. It must neither block nor raise.
        """
        from .begun import begin, end

        return partial(end, self._accounts, self.flushing, begin(self._accounts, timeout, done))

    def notify(self, report: FlushReport, timeout: float) -> None:
        """Let the sender call `on_flush`, and wait for its return, for at most `timeout` seconds.

        Nothing is called without a sender: the calling thread could not leave an `on_flush` that hangs.
        """
        self.flushing.notify(report, timeout)

    # Ending

    def pause(self, timeout: float) -> None:
        """Flush, and give up threads and connections, before a snapshot. The next event starts new ones."""
        self.flush(timeout, probe=True)
        self.stop_threads(ABORT_GRACE)
        self.resume()

    def resume(self) -> None:
        """Drop dead connections, and forget earlier failures of the backend, after a restore from a snapshot."""
        with self._accounts.lock:
            self._sending.forget_backend()
        self._exporter.close()

    def stop_threads(self, timeout: float) -> bool:
        """Abort the current job, and wait for the threads to end, for at most `timeout` seconds.

        Returns whether they have ended. The next event starts new ones.
        """
        worker = self._accounts.worker
        try:
            with self._accounts.lock:
                worker.is_held = True  # before `dismiss` wakes a current flush, which would start another thread
                threads = [worker.dismiss(), self._background.dismiss()]
            worker.abort()
            deadline = time.monotonic() + timeout
            for thread in threads:
                if thread is not None and thread is not threading.current_thread():
                    thread.join(max(deadline - time.monotonic(), 0.0))
        finally:
            worker.is_held = False
        return not any(thread is not None and thread.is_alive() for thread in threads)

    def close(self, timeout: float) -> FlushReport:
        """Flush, then accept no more events. Those still pending are dropped (`closed`)."""
        return self.close_after(*self.flushing.wait_for_all(timeout, probe=True, last=True))

    def close_after(self, waiter: FlushWaiter, reason: str) -> FlushReport:
        """Do the rest of `close`, after the wait for its flush."""
        accounts = self._accounts
        if accounts.is_reentrant():
            return self.flushing.report(waiter, reason)
        with accounts.lock:
            accounts.drain_intake()
            accounts.closed = True
            self._background.retire()
            accounts.worker.retire()
        accounts.worker.abort()  # also if another flush, with more time, waits for the job
        with accounts.lock:
            accounts.drop_all("closed")
            if accounts.journal is not None:
                accounts.journal.remove()
            accounts.waiters.remove(waiter)
            accounts.end_async_flushes()
        accounts.after_release()
        self._notify_here(waits=True)
        self._exporter.close()
        return self.flushing.report(waiter, reason)

    def close_at_exit(self, timeout: float) -> None:
        """Flush at the end of a process, and close. With a journal, pending events are left to the next process."""
        self.leave(timeout)
        self.wait_for_reports()

    def wait_for_reports(self) -> None:
        """Wait for calls of `on_error` in other threads: the end of the process would cut them off."""
        if self.flushing.wait_for_reports() and self._accounts.closed:
            self._notify_here(waits=True)  # what was dropped during such a call

    def leave(self, timeout: float) -> None:
        """Do the same as `close_at_exit`, except for the wait."""
        accounts, journal = self._accounts, None if self._accounts.closed else self._accounts.journal
        if journal is not None and not journal.is_healthy:
            with accounts.lock:
                accounts.buffer.rewrite_journal()  # without the pause between two attempts
        if journal is None or not journal.is_healthy:
            self.close(timeout)  # also if it is closed: another thread may be about to report what it has dropped
            return
        self.flush(timeout, probe=True, last=True)
        with accounts.lock:
            pending = len(accounts.buffer)
            if not (pending or accounts.open_spans):
                journal.remove()
        if pending:
            name = f"{accounts.name}: " if accounts.name else ""
            text = "%s%d telemetry events stay in the journal; only another process in this sandbox can send them"
            log.line("left-in-journal", text, name, pending)

    def _notify_here(self, *, waits: bool = False) -> None:
        """Run the remaining jobs in this thread, because there is no sender after `close`. Nothing is sent any more.

        A flush or a `close` in another thread may have taken one of them first. With `waits`, that one gets
        `ABORT_GRACE` to end: the caller may end the process, and the report of a loss would be lost with it.
        """
        worker = self._accounts.worker
        while True:
            with self._accounts.lock:
                job = worker.take()
                others = worker.job if waits and job is None else None
            if job is not None:
                worker.run_job(job)
            elif others is not None:
                worker.abort(others)
            else:
                return

    # Beginning

    def reset(self) -> None:
        """Begin anew, without reporting pending events: between tests, and in a forked child.

        In a child a user's exporter is closed by the thread that sends first, not here: it may need a lock that another
        thread of the parent held at the fork, and that no thread will ever release.
        """
        is_child = self._pid not in (0, os.getpid())
        if self._pid == os.getpid():
            self._abandon()
        else:
            self._leave_to_parent()
        with self._accounts.lock:
            self._begin_anew()
            self._sending.is_stale = is_child and not self._exporter.is_ours
        if not self._sending.is_stale:
            self._exporter.close()

    def _abandon(self) -> None:
        accounts = self._accounts
        with accounts.lock:
            if accounts.journal is not None:
                accounts.journal.remove()
            accounts.worker.retire()  # a flush must not start another thread for it, which nothing would end
            accounts.worker.job = None  # its outcome is ignored
            self._background.retire()
            accounts.wakeups.notify_all()
        self._exporter.cancel()

    def _leave_to_parent(self) -> None:
        """Replace threads and the lock in a child: the parent's threads do not exist there, and may have held it."""
        accounts = self._accounts
        if accounts.journal is not None:
            accounts.journal.release()
        if self._pid:
            accounts.worker.reset_in_child()  # if it was the sender that forked, in on_error, it ends with that
            self._background.retire()
        self._pid = os.getpid()
        accounts.lock = threads.RLock()  # re-entrant: see `Accounts.is_reentrant`

    def _begin_anew(self) -> None:
        accounts, sending = self._accounts, self._sending
        accounts.clear(self._destination)
        sending.clear()
        self._background.clear()
        accounts.worker = Worker(
            accounts.lock,
            accounts.wakeups,
            begin=self._recover_journals,
            next_job=sending.next_job,
            idle_seconds=sending.idle_seconds,
            settle=sending.settle,
            cancel=self._exporter.cancel,
            sender_failed=sending.sender_failed,
            after_release=accounts.after_release,
        )
        accounts.worker.hung_max += accounts.parking is not None  # one more thread, which only parks

    def _recover_journals(self) -> None:
        """Take over the events of dead processes in this sandbox. Called by the sender when it starts."""
        journal = self._accounts.journal
        if journal is not None:
            with Guarded("the recovery of an earlier process's events"):
                self._intake.recover(journal, self.capture)
