"""One invocation under way, from its beginning to the flush after its end.

    begin     bind the trace to the context, and write to the journal that the invocation has begun
    close     measure and describe the end
    report    capture the root event
    settle    flush: in the background if the process stays alive, after the response if the host can, else now, within
              what the invocation has left

The user's function is never harmed: what fails in here is logged once and left out.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any
from weakref import ref

from .. import _trace
from .._base.guard import Guarded, contain
from .._base.log import warn_once
from .._delivery.budget import flush_budget
from .._process import sigterm
from .._record.invocation import NO_RESULT, RESTORED, WARM
from .._record.record import Record, suspends
from .root_record import identity, root_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._process.container import Active, Container
    from .._record.invocation import ColdStart, Invocation, Result
    from .host import Host

PREPARED, OPEN, CLOSED, SETTLED = range(4)
"""SETTLED: nothing is left to do here. The host may still flush after the response, possibly before the report."""

_NOTIFY_MIN = 0.05
"""Minimum number of seconds for `on_flush`, even if the flush has used up its own time."""
_CONCERNS_MAX = 103
"""Limits for what `with_context` may set in one invocation: three ids, and as many tags as an event has."""
_REARM_PAUSE = 1.0
"""Seconds between two checks of the signal handlers when many invocations end at once."""


class ActiveInvocation:
    """One invocation, and the `Scope` of a function whose result is complete when it returns.

    The user's signal handler may raise between any two steps in here (a timeout by SIGALRM, Ctrl-C). The exception
    propagates, and the invocation ends nevertheless: call `begin` in the `try` whose `finally` calls `leave`. Each step
    can be repeated.
    """

    __slots__ = (
        *("__weakref__", "_concerns", "_entered", "_error", "_is_reported", "_left_at_end", "_left_at_start"),
        *("_reference", "_result", "_took_ms", "began", "container", "host", "inner_error", "invocation"),
        *("span", "start", "state"),
    )

    def __init__(self, host: Host[Any], container: Container, invocation: Invocation) -> None:
        self.state: int = PREPARED
        self.host: Host[Any] = host
        self.container: Container = container
        self.invocation: Invocation = invocation
        container.invocations += 1
        self.start: ColdStart = WARM
        if container.invocations == 1:
            self.start = RESTORED if container.is_restored else host.origin()
            container.learn(host.resource())
        parent = invocation.parent
        if "opentelemetry.trace" in sys.modules:
            from . import beside_opentelemetry

            parent = beside_opentelemetry.caller(parent)
        self.span: _trace.Span = _trace.continued(parent)
        around = _trace.current()
        if around is not None and not around.span_id:  # a `with_context` around the call of the decorated function
            self.span.user_id, self.span.session_id, self.span.tags = around.user_id, around.session_id, around.tags
            self.span.conversation_id = around.conversation_id
        self.inner_error: Exception | None = None  # raised by an inner application, see `web.note_inner_error`
        self._reference: ref[Active] = ref(self, container.active.discard)
        hash(self._reference)  # computed now, because `discard` needs it after this object is gone
        self._entered = _trace.Entered(self.span, host.one_at_a_time)
        self._concerns: dict[tuple[str, str], str | None] | None = None  # set by `with_context`, see `concerns`
        self._took_ms: float | None = None  # set when it has ended, as are the next three
        self._error: BaseException | None = None
        self._left_at_end: float | None = None
        self._result: Result = NO_RESULT  # a copy, because the function's owner may change it meanwhile
        self._is_reported = False
        self._left_at_start = self._left()
        self.began: float = time.perf_counter()

    # Implementation of `Scope`

    def begin(self) -> None:
        """Make this the current invocation, and write to the journal that it has begun."""
        try:
            self.state = OPEN
            self._entered.enter()
            self.span.root.owner = self._reference
            self.container.active.add(self._reference)
            self.began = time.perf_counter()
            self.container.delivery.ensure_sender()
            self.host.begin(self.invocation, self.on_record)
        except Exception as error:
            contain(error, "the start of an invocation")

    def returned(self, result: Any) -> Any:
        self.finish(None, result)
        return result

    def raised(self, error: BaseException) -> None:
        self.finish(error)

    def closed(self) -> None:
        """Never wait: a generator is closed by its last reader, or by the garbage collector in any thread."""
        self.close(None)
        self.abandon()

    async def returned_async(self, result: Any) -> Any:
        await self.finish_async(None, result)
        return result

    async def raised_async(self, error: BaseException) -> None:
        if isinstance(error, (SystemExit, KeyboardInterrupt)):  # they end the event loop as well
            self.finish(error)
        elif isinstance(error, Exception) or suspends(error):  # otherwise the task is cancelled, and must not wait
            await self.finish_async(error)

    async def closed_async(self) -> None:
        await self.finish_async(None)

    def leave(self) -> None:
        if self.state < SETTLED:
            self.abandon()

    # Steps to the end

    def finish(self, error: BaseException | None, result: Any = None) -> None:
        """Leave the context, close, report and flush. `result` is the function's own."""
        self.leave_context()
        self.close(error, returned=result)
        self.settle(error)

    async def finish_async(self, error: BaseException | None, result: Any = None) -> None:
        """Do the same as `finish`, and leave the event loop free."""
        self.leave_context()
        self.close(error, returned=result)
        await self.settle_async(error)

    def leave_context(self) -> None:
        """Make current again what was current before this invocation."""
        try:
            self._entered.leave()
        except Exception as error:
            contain(error, "the end of an invocation")

    def close(self, error: BaseException | None, result: Result = NO_RESULT, *, returned: Any = None) -> None:
        """End the invocation. User code may continue in its context. `report` is called later, when there is time.

        `returned` is the function's return value, from which the host reads the `result`.
        """
        if self._took_ms is None:
            self._error, self._took_ms = error, (time.perf_counter() - self.began) * 1000
        if self.state < CLOSED:
            self.state, self._result = CLOSED, result
        root = self.span.root
        root.owner = None
        self.container.active.discard(self._reference)
        try:
            for end in list(root.open.values()):
                end()
            # Rearm before any thread is woken: waking releases the GIL, and getting it back can take long.
            if self.host.one_at_a_time:
                sigterm.rearm(look=False)  # `_report_and_flush` checks it when the response is being sent
            else:
                sigterm.rearm(_REARM_PAUSE)
            self._left_at_end = self._left()
            if returned is not None:
                self._result = self.host.result(returned)
        except Exception as failure:
            contain(failure, "the end of an invocation")

    def report(self) -> None:
        """Capture the root event of a closed invocation, once."""
        took_ms = self._took_ms
        if took_ms is None or self._is_reported:
            return
        try:
            if self._is_uneventful():
                if self.start is not WARM:
                    self.container.invocations = 0  # the next invocation reports how the process started
            elif (is_sent := self.container.settings.root_event) or self.container.held is not None:
                error = self._error
                if error is None and self._result.error_type is not None:
                    error = self.inner_error
                self.container.capture(lambda: self._root_record(took_ms, error), self.span.span_id, is_sent=is_sent)
        except Exception as failure:
            contain(failure, "the root event")
        self._is_reported = True
        # Their tracebacks refer to this frame, and so keep the function's objects alive.
        self._error = self.inner_error = None

    def settle(self, error: BaseException | None = None) -> None:
        """Report a closed invocation, and flush."""
        handed_over = False
        try:
            handed_over = self._hand_over(error)
        except Exception as failure:
            contain(failure, "the flush")
        if not handed_over:
            with Guarded("the flush"):
                try:
                    self._report_and_flush()
                finally:
                    self.host.end(self.invocation, None)
        self.state = SETTLED

    async def settle_async(self, error: BaseException | None = None) -> None:
        """Do the same as `settle`, and leave the event loop free."""
        try:
            if not self._hand_over(error):
                try:
                    self.report()
                    sigterm.look_again()
                    if not self._flushes_later():
                        from .._delivery.aio import flush_async

                        await flush_async(self.container.delivery, self._budget())
                finally:
                    self.host.end(self.invocation, None)
        except Exception as failure:
            contain(failure, "the flush")
        self.state = SETTLED

    def settle_without_waiting(self) -> None:
        """Report a closed invocation, and let a thread flush, whatever the platform."""
        self.report()
        self.state = SETTLED
        self.flush_in_background()

    def abandon(self) -> None:
        """Complete the steps that an exception has interrupted. Does not wait."""
        self.leave_context()
        self.close(sys.exception())
        self.report()
        self.state = SETTLED
        with Guarded("the flush"):
            if not self.host.end(self.invocation, self._flush):
                self.flush_in_background()

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        """End the invocation if the code that should have ended it was interrupted."""
        if getattr(self, "state", PREPARED) == OPEN and not exiting():
            with Guarded("the end of an invocation"):
                self.abandon()

    def disown(self) -> None:
        """Leave the end of this invocation to the parent of this forked child."""
        self.state = PREPARED

    # Interface for the host and for code inside the invocation

    def is_paused(self) -> bool:
        """Whether it waits until the next item of a generator is requested."""
        return self.span.root.is_paused

    def on_record(self) -> None:
        """Write to the journal that this invocation has begun, in case it never ends. Never raises."""
        container, invocation, left = self.container, self.invocation, self._left_at_start
        if not (container.records and container.settings.root_event) or invocation.is_probe():
            return
        with Guarded("the start of an invocation"):
            if not self._is_over():  # as a short one is before another thread calls this
                attributes = identity(invocation, self.start)
                if left is not None:
                    attributes["time_left_at_start_ms"] = round(left * 1000)
                record = Record(self.span, container.resource, "invocation", invocation.name, attributes=attributes)
                container.opened(record, self._is_over)

    def _is_over(self) -> bool:
        return self.state >= CLOSED

    def concerns(self, ids: Mapping[str, str | None], tags: Mapping[str, str]) -> None:
        """Record what a `with_context` inside sets: `user_id`, `session_id`, `conversation_id`, and tags.

        The root event gets a value only if all blocks agree on it: if the records of a batch belong to different users,
        the invocation belongs to none.
        """
        noted = self._concerns
        if noted is None:
            noted = self._concerns = {}
        named = {**{(name, ""): ids[name] for name in ids}, **{("tags", key): tags[key] for key in tags}}
        for name, value in named.items():
            if value is not None and len(noted) < _CONCERNS_MAX and noted.setdefault(name, value) != value:
                noted[name] = None

    def must_wait(self) -> bool:
        """Whether the end of an invocation that succeeds has to wait for the flush."""
        return not (self._may_flush_later(None) and self.host.process_stays_alive(self.invocation))

    def flush_in_background(self) -> None:
        """Let a thread flush."""
        self.container.delivery.flush_in_background(self.container.settings.flush_timeout)

    # Flush

    def _hand_over(self, error: BaseException | None) -> bool:
        """Leave the flush to a thread if the process stays alive, or to the host after the response, else False."""
        if not self._may_flush_later(error):
            return False
        if not self.host.process_stays_alive(self.invocation):
            return self.host.end(self.invocation, self._report_and_flush)
        self.report()
        if self.host.one_at_a_time:
            sigterm.look_again()
        self.container.goes_on = True
        self.flush_in_background()
        return True

    def _report_and_flush(self) -> None:
        self.report()
        sigterm.look_again()
        self._flush()

    def _may_flush_later(self, error: BaseException | None) -> bool:
        """Whether the flush may follow the response. After SystemExit and similar exceptions no telemetry code runs."""
        dying = error is not None and not isinstance(error, Exception) and not suspends(error)
        return not dying and self.container.settings.flush_mode != "before_return"

    def _flush(self) -> None:
        """Send what is pending within the time that this invocation has left."""
        if self._flushes_later():
            return
        settings, delivery = self.container.settings, self.container.delivery
        report = delivery.flush(budget := self._budget())
        if report.pending and not budget and settings.flush_timeout:
            text = "no time left to send events, which wait for the next invocation: raise the function's timeout"
            warn_once("no-time", text)
        if settings.on_flush is not None:  # within the time that the flush has not used
            rest = max(settings.flush_timeout - report.elapsed, _NOTIFY_MIN)
            delivery.notify(report, flush_budget(self._left(), rest, settings.flush_reserve))

    def _flushes_later(self) -> bool:
        """Let a thread flush if the deadline is near and the process outlives it. Return False otherwise."""
        if self.invocation.is_killed or self._budget() > 0:
            return False
        self.flush_in_background()
        return True

    def _budget(self) -> float:
        settings, left = self.container.settings, self._left()
        if left is not None and left <= 0 and not self.invocation.is_killed:
            left = None  # no client waits for this response any more
        return flush_budget(left, settings.flush_timeout, settings.flush_reserve)

    def _left(self) -> float | None:
        return None if self.invocation.remaining is None else self.invocation.remaining()

    # Root event

    def _is_uneventful(self) -> bool:
        """Whether this is a successful health check in which no event was captured."""
        status = self._result.status
        is_well = self._error is None and status is not None and status < 400
        return is_well and not self.span.root.has_spans and self.invocation.is_probe()

    def _root_record(self, took_ms: float, error: BaseException | None) -> Record:
        return root_record(
            self._concerned(),
            self.container.resource,
            self.invocation,
            self.start,
            self._result,
            took_ms,
            (self._left_at_start, self._left_at_end),
            error,
        )

    def _concerned(self) -> _trace.Span:
        """Return the root span, with the user, session, conversation and tags that `with_context` has set inside."""
        span, noted = self.span, self._concerns
        if not noted:
            return span
        tags = {key: value for (field, key), value in noted.items() if field == "tags" and value is not None}
        return span.concerning(
            span.user_id or noted.get(("user_id", "")),
            span.session_id or noted.get(("session_id", "")),
            span.conversation_id or noted.get(("conversation_id", "")),
            {**tags, **(span.tags or {})} or None,
        )
