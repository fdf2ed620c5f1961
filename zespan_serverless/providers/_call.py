"""One call of a model, from its start to the one event that it ends in."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .. import _process, _trace, sdks
from .._base.guard import Guarded, is_from_signal, pass_on
from .._base.log import warn_once
from .._record.redaction import Redacted
from ._answer import Answer
from ._event import event_of
from ._prompt import Prompt
from ._stream import StreamReader
from ._wrap import Taker, once

if TYPE_CHECKING:
    from .._record.event import Event
    from ._request import Choke, Request
    from ._wrap import Observer

_ON_RECORD_MAX = 65_536  # characters of a prompt that are put on record before there is an answer


open_call: ContextVar[ModelCall | None] = ContextVar("zespan_serverless_model_call", default=None)
"""The call whose method is running here."""


def begin(choke: Choke, method: Any, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observer | None:
    """Begin the call that `method` of `owner` is about to make, and return who observes it.

    Where an outer choke point has begun the call, an inner one takes the answer: it comes from the SDK itself there,
    beneath whatever other tools make of it.

    None if there is nothing to trace: telemetry is off, the request is not one of the room's, or somebody else traces
    the call.
    """
    container = _process.current()
    if container is None or sdks.traces(method):
        return None
    outer = open_call.get() if choke.is_inner else None
    if outer is not None and outer.taken:  # a tool in between asks again: another call, which is paid for, too
        outer = None
    try:
        request = choke.read(owner, args, kwargs)
        if request is None:
            return None
        return Taker(outer.take) if outer is not None else ModelCall(container, request).begun()
    except Exception as error:
        pass_on(error)
        if outer is None:
            container.lost(error)
        return None


class ModelCall:
    """One call, from its start to the one event that it ends in."""

    def __init__(self, container: _process.Container, request: Request) -> None:
        self.container, self.request = container, request
        self.raw = request.raw
        self.span = _trace.new_span(_trace.current())
        self.once = threading.Lock()  # taken when the event is made
        # Taken now: by the time the call ends the user may have appended the answer to the same list.
        self.prompt = Prompt(request.messages, request.tools, container)
        self.outer: ModelCall | None = None
        self.taken = False  # whether the answer has come, or the response that it will be read from
        self.began = time.perf_counter()

    def begun(self) -> ModelCall:
        """Put the call on record and start its clock."""
        try:
            self._put_on_record()
        except BaseException as error:
            if not isinstance(error, Exception) or is_from_signal(error):
                self.end(None, error)  # it may be on record already
                raise
            warn_once("a model call was not put on record: %r", error)
        self.began = time.perf_counter()
        self.resume()
        return self

    def resume(self) -> None:
        """The method runs here: a request that is made is the one of this call."""
        self.outer = open_call.get()
        open_call.set(self)

    def pause(self) -> None:
        """The method is over here, or goes on when what it has returned is awaited."""
        open_call.set(self.outer)
        self.outer = None

    def _put_on_record(self) -> None:
        """The process may not live to see the answer."""
        if not self.container.records:
            return
        request = self.request
        known: dict[str, Any] = {"provider": request.provider, "model": request.model, "stream": request.stream}
        if self.container.settings.store_prompts:
            known["prompt_text"] = Redacted(self.prompt.text[:_ON_RECORD_MAX])
        self.container.opened(self.span, "llm", request.endpoint.operation, **known)

    def take(self, result: Any, error: BaseException | None) -> None:
        """Take the answer of a request that has been made inside of the method, unless there has been one already.

        An error is the method's to raise: a tool in between may try again. Never raises, but for what a signal handler
        does.
        """
        if error is None and not self.taken:
            self._settle(result, None)

    def done(self, result: Any, error: BaseException | None) -> None:
        """Take what the method has returned, unless the answer has been taken, or what it has raised.

        Never raises, but for what a signal handler does.
        """
        try:
            if error is not None or not self.taken:
                self._settle(result, error)
        finally:
            self.pause()

    def _settle(self, result: Any, error: BaseException | None) -> None:
        """Make the event of an answer or an error; of a stream, or of a response that is not read yet, see to it."""
        self.taken = True
        try:
            if error is not None:
                answer = None
                with Guarded("the answer of a failed call"):
                    answer = self.request.endpoint.charged(error)
                self.end(answer, error)
            elif self.raw == "stream":
                self._wait_for_body(result)
            else:
                # parse() keeps what it has made: the user's own call of it will get the same object.
                self._read(result.parse() if self.raw else result)
        except BaseException as problem:
            with Guarded("the answer of a model"):
                self.end()
                raise problem

    def end(self, answer: Answer | None = None, error: BaseException | None = None) -> None:
        """Make the event; the second time does nothing, in whichever thread.

        Never raises, but for what a signal handler does; there is an event all the same.
        """
        if not self.once.acquire(blocking=False):
            return
        took = (time.perf_counter() - self.began) * 1000
        try:
            self.span.root.open.pop(id(self), None)
        finally:
            with Guarded("the end of a model call"):
                self.container.capture_made(lambda: self._event(answer or Answer(), error, took), self.span.span_id)

    def _event(self, answer: Answer, error: BaseException | None, took_ms: float) -> Event:
        return event_of(self.span, self.container.settings, self.request, self.prompt, answer, error, took_ms)

    def _read(self, result: Any) -> None:
        if self.request.stream:
            StreamReader(self, result)
        else:
            self.end(self.request.endpoint.answer(result))

    def _wait_for_body(self, response: Any) -> None:
        """The body is still to come. Users may have it parsed; then, or without that, they close the response."""
        self.raw = None
        self.span.root.open[id(self)] = self.end  # the invocation may end first
        once(response, "parse", lambda: Taker(self._settle))
        once(response, "close", lambda: Taker(self.end))
