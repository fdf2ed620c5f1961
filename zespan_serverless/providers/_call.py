"""One model call, from its start to its record."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.aio import is_async
from .._base.guard import Guarded, is_from_signal, pass_on
from .._base.log import warn_once
from .._process.container import time_left
from .._record.model import UNANSWERED, Model
from .._record.record import Record
from ._pricing import cost
from ._prompt import read_prompt
from ._sending import Attempts, current
from ._wrap import Taker, once

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from .._record.model import Answer
    from ._request import Choke, Request
    from ._wrap import Observer


open_call: ContextVar[ModelCall | None] = _trace.open_call


def begin(choke: Choke, method: Any, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observer | None:
    """Begin the call that `method` of `owner` is about to make, and return its observer.

    Where an outer choke point has begun the call, an inner one takes the answer: it comes from the SDK itself there,
    before other tools change it.

    None if there is nothing to trace: telemetry is off, or the request is not one of the room's.
    """
    container = _process.current()
    if container is None:
        return None
    here = open_call.get()
    outer = here if choke.is_inner else None
    if outer is not None and outer.taken:  # a tool in between makes another request, which is another billed call
        outer = None
    try:
        if outer is not None:
            if choke.continues(outer.request, args, kwargs):
                _seen()
                return Taker(outer.take)
            outer = None  # made by code in between
        request = choke.read(owner, args, kwargs)
        if request is None:
            return None
        if (tool := request.begun(container, method)) is not None:
            return tool
        _seen()
        call = ModelCall(container, request)
        if here is not None and here.request.endpoint.is_relay:
            call.replace(here)
        return call.begun()
    except Exception as error:
        pass_on(error)
        if outer is None:
            container.lost(error)
        return None


def _seen() -> None:
    """Let other tools know that a room records the current call, so that their wrappers around it need not."""
    for callback in _trace.ON_CALL:
        callback()


def _until(container: _process.Container) -> float | None:
    """Return when a call that begins now has to end, by `time.monotonic()`; None if there is no limit."""
    settings = container.settings
    left = time_left() if settings.cap_timeouts else None
    if left is None:
        return None
    from ._sending._retries import limit_pauses  # no other call needs it

    limit_pauses()
    return time.monotonic() + left - settings.flush_reserve - settings.cap_timeouts


class ModelCall:
    """One call, from its start to its record."""

    outer: ModelCall | None = None
    attempts_outside: Attempts | None = None
    taken = False
    """Whether there is an answer, or a response from which it will be read."""
    record: Record | None = None
    """What is known when the call begins. Its end is added to a copy."""

    def __init__(self, container: _process.Container, request: Request) -> None:
        self.container, self.request = container, request
        self.raw = request.raw
        self.span = _trace.new_span(_trace.current())
        self.span.root.calls += 1
        self.once = threading.Lock()  # set when the record is made
        # Copied now, because the user may append the answer to the same list before the call ends.
        self.prompt = read_prompt(request, container)
        self.attempts = Attempts(_until(container))
        self.began = time.perf_counter()

    def begun(self) -> ModelCall:
        """Write the call to the journal, and start its clock."""
        try:
            self._note_begin()
        except BaseException as error:
            if not isinstance(error, Exception) or is_from_signal(error):
                self.end(None, error)  # it may be in the journal already
                raise
            warn_once("call-not-in-journal", "a model call was not noted in the journal: %r", error)
        self.began = time.perf_counter()
        self.resume()
        return self

    def replace(self, relay: ModelCall) -> None:
        """Replace a call that this one is made for, unless that has ended or been replaced."""
        if relay.once.acquire(blocking=False):
            relay.taken = True
            self.span = relay.span

    def resume(self) -> None:
        """Attribute requests to this call from now on."""
        self.outer, self.attempts_outside = open_call.get(), current.get()
        open_call.set(self)
        current.set(self.attempts)

    def pause(self) -> None:
        """Note that the method has returned; it may continue when its result is awaited."""
        if open_call.get() is self:  # a dropped coroutine is closed anywhere, for example during another call
            open_call.set(self.outer)
            current.set(self.attempts_outside)
        self.outer = self.attempts_outside = None

    def _note_begin(self) -> None:
        """Write the call to the journal, because the process may end before the answer."""
        self.record = self.container.opened(self._asked())

    def take(self, result: Any, error: BaseException | None) -> Any:
        """Take the answer of a request that was made inside the method, unless there has been one already.

        An error is left for the method to raise, because a tool in between may retry. Never raises, except what a
        signal handler raises.
        """
        if error is None and not self.taken:
            result = self._settle(result, None)
        return result

    def done(self, result: Any, error: BaseException | None) -> Any:
        """Take the method's result or its exception, unless the answer has been taken already.

        Never raises, except what a signal handler raises.
        """
        try:
            if error is not None or not self.taken:
                result = self._settle(result, error)
        finally:
            self.pause()
        return result

    def _settle(self, result: Any, error: BaseException | None) -> Any:
        """Record an answer or an error; of a stream or a response that is not read yet, have it recorded later.

        Returns what the caller gets.
        """
        self.taken = True
        try:
            if error is not None:
                answer = None
                with Guarded("the answer of a failed call"):
                    answer = self.request.endpoint.charged(error)
                self.end(answer, error)
            elif self.raw == "stream" or (self.raw and is_async(result.parse)):
                self._wait_for_body(result)
            elif self.raw:
                self._read(result.parse())  # it keeps what it has made: the user's own call gets the same object
            else:
                return self._read(result)
        except BaseException as problem:
            with Guarded("the answer of a model"):
                self.end()
                raise problem
        return result

    def end(self, answer: Answer | None = None, error: BaseException | None = None) -> None:
        """Make the record. A second call does nothing, in any thread.

        Never raises, except what a signal handler raises; the record is made nevertheless.
        """
        if not self.once.acquire(blocking=False):
            return
        took = (time.perf_counter() - self.began) * 1000
        try:
            self.span.root.open.pop(id(self), None)
        finally:
            with Guarded("the end of a model call"):
                self.container.capture(lambda: self._ended(answer or UNANSWERED, error, took), self.span.span_id)

    def end_with(self, read: Callable[[], Answer], error: BaseException | None = None) -> None:
        """Call `end` with an answer that `read` returns, or without one if `read` fails."""
        answer = None
        with Guarded("the answer of a model"):
            answer = read()
        self.end(answer, error)

    def _ended(self, answer: Answer, error: BaseException | None, took_ms: float) -> Record:
        request, record = self.request, (self.record or self._asked()).copy()
        record.ended, record.duration_ms = time.time(), took_ms
        if record.model is not None:
            record.model.answer = answer
            record.model.cost = cost(request.provider, answer.model or request.model, answer)
        attributes: dict[str, Any] = answer.attributes
        if self.attempts.resends:
            attributes["http.request.resend_count"] = self.attempts.resends
        if answer.known:
            if self.span.step is not None:
                self.span.step._observed(request.endpoint.kind)
        elif request.stream and answer.finish_reason and request.endpoint.hint:
            warn_once("stream-tokens", "the tokens of streamed calls are unknown: %s", request.endpoint.hint)
        if error is not None or answer.error:
            record.fail(error if error is not None else answer.error)
        if error is not None:
            attributes["error.type"] = type(error).__name__
        record.attributes = attributes
        return record

    def _asked(self) -> Record:
        """Make the record of what is known before there is an answer."""
        request, container = self.request, self.container
        record = Record(self.span, container.resource, request.endpoint.kind, request.endpoint.operation)
        record.model = Model(request.provider, request.model, self.prompt, UNANSWERED, stream=request.stream)
        record.model.has_content = container.settings.store_prompts
        return record

    def _read(self, result: Any) -> Any:
        endpoint = self.request.endpoint
        if self.request.stream or endpoint.is_read_later:
            return endpoint.follow(self, result)
        self.end(endpoint.answer(result))
        return result

    def _wait_for_body(self, response: Any) -> None:
        """Wait until the user parses the body, or closes the response."""
        self.raw = None
        self.span.root.open[id(self)] = self.end  # the invocation may end first
        once(response, "parse", lambda: Taker(self._settle))
        once(response, "close", lambda: Taker(self.end))
