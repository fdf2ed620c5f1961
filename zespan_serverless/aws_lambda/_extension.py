"""The internal extension: it lets a flush run after the response, and makes Lambda send SIGTERM.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Lambda passes the response to the caller as
soon as the runtime has posted it. The invocation continues until every extension that is registered for INVOKE has
asked for the next event. So our thread asks for it when the flush is done.

Four rules keep the extension harmless:
* It is registered only in the runtime's own process: an extension that registers and never asks makes init hang.
* One thread registers and asks, and nothing ends it. So there is never a registration without a thread that asks, even
  if the answer is late or the thread cannot be started.
* This thread does no I/O with a backend. It waits for the sender, but asks at the deadline less the reserve even if the
  sender is busy: work beyond the timeout would turn a finished invocation into a failed one.
* It does not wait for an invocation whose handler does not start, because of a bad event or an undecorated handler.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from .._base import log, threads
from .._base.guard import pass_on
from .._base.log import warn_once
from .._http.client import Channel
from .._http.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "zespan-serverless"
CLAIM = "_ZESPAN_SERVERLESS_RUNTIME"  # holds the pid that registered: children inherit the variable, not the pid

_PATH = "/2020-01-01/extension/"
_LOOK = 0.005  # seconds between two checks whether the handler has been called
# After so many checks in a row it will not be called any more: no thread has computed; the main thread has not.
_QUIET, _IDLE = 6, 50
_COMPUTED = 0.0002  # CPU seconds between two checks that count as computing
_REGISTER_TIMEOUT = 2.0
_HEAD_START = 0.005  # seconds that leave the GIL to the runtime's thread, which gets its event at the same moment
_PAUSE, _PAUSE_MAX = 0.01, 1.0  # seconds after a failed call, doubling


class Extension:
    """This process's registration, and the thread that keeps asking for events.

    An invocation ends twice: the handler calls `end`, and the thread releases the invocation to Lambda. Both happen
    under one lock, so the second knows of the first: a flush that `end` leaves to the thread always runs, and before
    the thread asks for the next event.
    """

    def __init__(
        self, api: str, events: list[str], reserve: float, overdue: Callable[[float], object] = lambda _: None
    ) -> None:
        self._events, self._reserve, self._overdue = events, reserve, overdue
        self._api = api
        self._channel: Channel | None = None
        self._id = ""
        self._deadline = 0.0
        self._lock = threads.RLock()
        self._wakeup = threading.Lock()  # held by the thread while it waits for `end`, which releases it
        self._begun = self._ended = self._released = ""  # request ids, the latest of each
        self._flush: Callable[[], object] | None = None
        self._on_record: Callable[[], None] | None = None
        self._attends = False
        self._refused: Exception | None = None
        answered = threading.Event()
        threads.start("zespan-extension", self._run, answered)
        if not answered.wait(_REGISTER_TIMEOUT):
            raise TimeoutError("no answer yet")  # the thread goes on: if registered later, it has to ask for events
        if self._refused is not None:
            raise self._refused

    def begin(self, request_id: str, on_record: Callable[[], None]) -> None:
        """Note the start of this invocation's handler.

        The thread is not notified, which would cost time here. It checks every 5 ms and then calls `on_record`. If it
        does not attend invocations, `on_record` is called at once.
        """
        self._on_record, self._begun = on_record, request_id
        if not self._attends or request_id == self._released:
            self._put_on_record()

    def end(self, request_id: str, flush: Callable[[], object] | None) -> bool:
        """Note the end of the handler. Leave `flush` to the thread; False if the caller has to run it.

        The caller has to run it if the thread no longer waits for this invocation, and at every call but the first: an
        undecorated handler may call a decorated function twice. When Lambda retries an asynchronous event, its request
        id is the same: if the retry is the next invocation of this process, it counts as released, and flushes before
        its return.
        """
        with self._lock:
            taken = flush is not None and self._attends and request_id not in (self._ended, self._released)
            if taken:
                self._flush = flush
            self._ended = request_id
            try:  # without a look at it before: a signal handler may end another invocation between the two
                self._wakeup.release()
            except RuntimeError as error:  # nobody waits
                pass_on(error)
            return taken

    def clock(self) -> Callable[[], float] | None:
        """Return the seconds left of the current invocation, for a call without a context. None if unknown."""
        deadline = self._deadline
        return (lambda: deadline - time.time()) if deadline > time.time() else None

    def _run(self, answered: threading.Event) -> None:
        try:
            self._register()
        except Exception as error:
            self._refused = error
            self._hang_up()
            return
        finally:
            answered.set()
        failures = 0
        while True:
            try:
                event = self._next()
                self._attends = "INVOKE" in self._events
                failures = 0
                if event.get("eventType") == "INVOKE":
                    self._attend(str(event["requestId"]), float(event["deadlineMs"]) / 1000)
            except BaseException as error:  # any: an invocation that is not released lasts until its timeout
                failures += 1
                self._recover(error, failures)

    def _register(self) -> None:
        headers = {"Lambda-Extension-Name": NAME, "Content-Type": "application/json"}
        channel = self._request("POST", "register", headers, json.dumps({"events": self._events}))
        status, answer_headers, body = channel.receive()
        self._id = answer_headers.get("lambda-extension-identifier", "")
        if status != 200 or not self._id:
            raise OSError(f"registration answered {status}: {body[:200]!r}")
        self._attends = "INVOKE" in self._events

    def _next(self) -> dict[str, Any]:
        self._wakeup.acquire(blocking=False)  # nobody has waited for the last `end`, if its handler was that short
        channel = self._request("GET", "event/next", {"Lambda-Extension-Identifier": self._id})
        channel.wait()
        self._wakeup.acquire(timeout=_HEAD_START)
        status, _, body = channel.receive()
        if status != 200:
            raise OSError(f"next answered {status}: {body[:200]!r}")
        event = json.loads(body.decode())
        return event if isinstance(event, dict) else {}

    def _request(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Channel:
        """Send a request; return the channel for its answer. No timeout: the next event may be hours away."""
        if self._channel is not None and not self._channel.reusable:
            self._hang_up()
        if self._channel is None:
            host, _, port = self._api.rpartition(":")
            self._channel = Channel(connect(host.strip("[]"), int(port)))
        self._channel.send(method, _PATH + path, {"Host": self._api, **headers}, body.encode())
        return self._channel

    def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _attend(self, request_id: str, deadline: float) -> None:
        """Return when the invocation may end: its handler is done and its flush has run, or its time is over."""
        self._deadline = deadline
        until = deadline - self._reserve
        begun = self._starts(request_id, until)
        self._put_on_record()
        while begun and self._ended != request_id and (left := until - time.time()) > 0:
            self._wakeup.acquire(timeout=left)
        with self._lock:
            late = begun and self._ended != request_id
            self._released = request_id  # `begin` and `end` from now on leave nothing to this thread
        self._put_on_record()  # for a handler that has been called since the check
        if late:  # without the lock: `end` must not wait for a disk
            self._note(deadline)
        self._run_flush()

    def _put_on_record(self) -> None:
        """Call `on_record`. Two threads may both run it; that is harmless."""
        on_record, self._on_record = self._on_record, None
        if on_record is not None:
            on_record()

    def _starts(self, request_id: str, until: float) -> bool:
        """Wait until this invocation's handler, if it is decorated, has been called. False if it will not be.

        A timeout cannot decide this: to parse an event of 6 MB takes seconds on a small function. Instead watch CPU
        time. If no thread computes, neither to receive the event nor to parse it, no handler is about to be called. The
        same is true if the main thread has been idle for longer; other threads may compute for ever. While an
        undecorated handler computes, this waits, which costs nothing: the invocation lasts that long anyway.
        """
        if request_id in (self._begun, self._ended):  # as usual: the head start was long enough
            return True
        quiet = idle = 0
        main, others = _main_cpu(), _others_cpu()
        while request_id not in (self._begun, self._ended):
            if quiet >= _QUIET or idle >= _IDLE or time.time() >= until:
                return False
            self._wakeup.acquire(timeout=_LOOK)
            main_before, main = main, _main_cpu()
            others_before, others = others, _others_cpu()
            idle = idle + 1 if main - main_before < _COMPUTED else 0
            quiet = quiet + 1 if others - others_before < _COMPUTED else 0
        return True

    def _note(self, deadline: float) -> None:
        try:
            self._overdue(deadline)
        except Exception as error:
            warn_once("telemetry-failed", "telemetry failed at the deadline: %r", error)

    def _run_flush(self) -> None:
        """Run the flush that `end` has left to this thread."""
        with self._lock:
            flush, self._flush = self._flush, None
        if flush is not None:
            try:
                flush()
            except Exception as error:
                warn_once("telemetry-failed", "telemetry failed after the response: %r", error)

    def _recover(self, error: BaseException, failures: int) -> None:
        """Wait a moment before the next request, after one that failed.

        An invocation may have been missed. So until the next event, `end` leaves no flush to this thread.
        """
        with self._lock:
            self._attends = False
        self._hang_up()
        self._run_flush()
        if failures == 3:
            text = "Lambda's Extensions API does not answer, flushing before the response: %r"
            log.line("no-extension", text, error)
        time.sleep(min(_PAUSE_MAX, _PAUSE * 2 ** min(failures, 10)))


def in_runtime_process() -> bool:
    """Whether this is the process of Lambda's runtime client, and not one that a function has started."""
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ or "awslambdaric.bootstrap" not in sys.modules:
        return False
    # A spawned or forkserver child may import the runtime client as its main module, and then the handler's module.
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False
    return os.environ.get(CLAIM, str(os.getpid())) == str(os.getpid())


def register(flush_mode: str, reserve: float, overdue: Callable[[float], object]) -> Extension | None:
    """Register this process; None, with a line in the log, if that fails.

    With the flush mode `before_return` it is registered for no events, but Lambda sends SIGTERM all the same.
    `overdue` is called with the deadline (seconds since the epoch) when a handler has not returned by then.
    """
    os.environ[CLAIM] = str(os.getpid())
    events = [] if flush_mode == "before_return" else ["INVOKE"]
    try:
        return Extension(os.environ["AWS_LAMBDA_RUNTIME_API"], events, reserve, overdue)
    except Exception as error:
        is_asked_for = flush_mode == "after_response"
        level = log.WARNING if is_asked_for else log.DEBUG
        log.line("no-extension", "no extension, flushing before the response: %s", error, level=level)
        return None


def _main_cpu() -> float:
    """CPU seconds that the main thread has used. It parses events and calls handlers."""
    return time.clock_gettime(time.pthread_getcpuclockid(threading.main_thread().ident or 0))


def _others_cpu() -> float:
    """CPU seconds that all threads but this one have used."""
    return time.process_time() - time.thread_time()
