"""The internal extension: what lets a flush run after the response, and what makes Lambda send SIGTERM at all.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Lambda hands the response to the caller as
soon as the runtime has posted it; the invocation goes on until every extension registered for INVOKE has asked for the
next event. So a thread of ours asks when the flush is done.

Four rules keep that from hurting anybody:
* Registered only in the runtime's own process: whatever registers and then never asks makes init hang.
* The thread that registers is the one that asks, and nothing ends it: an answer that comes late, or a thread that
  cannot be started, leaves no registration behind that nobody asks for.
* That thread does no I/O with a backend. It waits for the sender, and asks at the deadline less the reserve whatever
  the sender is doing: work that outlasts the timeout would turn a finished invocation into a failed one.
* An invocation whose handler does not start is not waited for: a bad event, or a handler that is not ours.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from .._base import threads
from .._base.log import logger, warn_once
from .._http.client import Channel
from .._http.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "zespan-serverless"
CLAIM = "_ZESPAN_SERVERLESS_RUNTIME"  # holds the pid that registered; children inherit the environment, not the pid

_PATH = "/2020-01-01/extension/"
_LOOK = 0.005  # seconds between two looks whether the handler has been called
_QUIET, _IDLE = 6, 50  # looks in a row after which it will not be: nobody computes; others than the main thread do
_COMPUTED = 0.0002  # CPU seconds between two looks that count as computing
_REGISTER_TIMEOUT = 2.0
_HEAD_START = 0.005  # seconds: the runtime gets its event at the same moment, and its thread wants the GIL more
_PAUSE, _PAUSE_MAX = 0.01, 1.0  # seconds after a failed call, doubling


class Extension:
    """This process's registration, and the thread that keeps asking for events.

    An invocation ends twice: the handler `end`s it, and the thread releases it to Lambda. Whichever comes second knows
    of the first, under one lock: what `end` was allowed to leave to the thread is always run, by it and before it asks.
    """

    def __init__(
        self, api: str, events: list[str], reserve: float, overdue: Callable[[float], object] = lambda _: None
    ) -> None:
        self._events, self._reserve, self._overdue = events, reserve, overdue
        self._api = api
        self._channel: Channel | None = None
        self._id = ""
        self._deadline = 0.0
        self._state = threading.Condition(threading.Lock())
        self._begun = self._ended = self._released = ""  # request ids, the latest of each
        self._flush: Callable[[], object] | None = None
        self._on_record: Callable[[], None] | None = None
        self._attends = False
        self._refused: Exception | None = None
        answered = threading.Event()
        threads.start("zespan-extension", self._run, answered)
        if not answered.wait(_REGISTER_TIMEOUT):
            raise TimeoutError("no answer yet")  # should one come, the thread does its duty without us
        if self._refused is not None:
            raise self._refused

    def begin(self, request_id: str, on_record: Callable[[], None]) -> None:
        """The handler of this invocation has been called. Not notified: the thread looks every 5 ms, off our path, and
        then calls `on_record`; where it does not attend invocations, that is done now."""
        self._on_record, self._begun = on_record, request_id
        if not self._attends or request_id == self._released:
            self._put_on_record()

    def end(self, request_id: str, flush: Callable[[], object] | None) -> bool:
        """The handler is done, and `flush` (if any) is to run now. False if the caller has to see to that himself.

        That is so once the invocation is no longer waited for, and for all but the first call: a decorated function
        that a foreign handler calls twice. An asynchronous event that Lambda tries again has its old id: should it
        come to the same process with nothing in between, it is taken for released, and flushes before its return.
        """
        with self._state:
            taken = flush is not None and self._attends and request_id not in (self._ended, self._released)
            if taken:
                self._flush = flush
            self._ended = request_id
            self._state.notify()
            return taken

    def clock(self) -> Callable[[], float] | None:
        """The seconds left of the invocation under way, for a call that was not given a context. None if unknown."""
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
            except BaseException as error:  # whatever it is: what nobody releases lasts until its timeout
                failures += 1
                self._stumbled(error, failures)

    def _register(self) -> None:
        headers = {"Lambda-Extension-Name": NAME, "Content-Type": "application/json"}
        status, said, body = self._asked("POST", "register", headers, json.dumps({"events": self._events})).receive()
        self._id = said.get("lambda-extension-identifier", "")
        if status != 200 or not self._id:
            raise OSError(f"registration answered {status}: {body[:200]!r}")
        self._attends = "INVOKE" in self._events

    def _next(self) -> dict[str, Any]:
        channel = self._asked("GET", "event/next", {"Lambda-Extension-Identifier": self._id})
        channel.wait()
        with self._state:
            self._state.wait(_HEAD_START)  # or until the handler is done
        status, _, body = channel.receive()
        if status != 200:
            raise OSError(f"next answered {status}: {body[:200]!r}")
        event = json.loads(body)
        return event if isinstance(event, dict) else {}

    def _asked(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Channel:
        """What the answer to this request comes through. Without a timeout: the next event may be hours away."""
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
        """Return when the invocation may end as far as we are concerned."""
        self._deadline = deadline
        until = deadline - self._reserve
        with self._state:
            begun = self._starts(request_id, until)
        self._put_on_record()
        with self._state:
            if begun:
                while self._ended != request_id and (left := until - time.time()) > 0:
                    self._state.wait(left)
            late = begun and self._ended != request_id
            self._released = request_id  # who begins or ends it from now on does the rest himself
        self._put_on_record()  # of one that has begun in just this moment
        if late:  # with nothing held: whoever ends the invocation now does not wait for a disk
            self._note(deadline)
        self._run_flush()

    def _put_on_record(self) -> None:
        """Should two threads come to this at once, it may be done twice, which is once too often but does no harm."""
        on_record, self._on_record = self._on_record, None
        if on_record is not None:
            on_record()

    def _starts(self, request_id: str, until: float) -> bool:
        """Whether the handler of this invocation is ours and has been called, or is about to be.

        No clock can tell: json.loads of a 6 MB event holds the GIL, and on a small function takes seconds. What tells
        is that nobody computes, neither to receive the event nor to parse it: then nobody is about to call the handler.
        Or that the main thread does not, for longer: somebody else may never stop. A foreign handler that computes is
        waited for, which costs nothing: the invocation lasts that long anyway.
        """
        quiet = idle = 0
        main, others = _main_cpu(), _others_cpu()
        while request_id not in (self._begun, self._ended):
            if quiet >= _QUIET or idle >= _IDLE or time.time() >= until:
                return False
            self._state.wait(_LOOK)
            main_before, main = main, _main_cpu()
            others_before, others = others, _others_cpu()
            idle = idle + 1 if main - main_before < _COMPUTED else 0
            quiet = quiet + 1 if others - others_before < _COMPUTED else 0
        return True

    def _note(self, deadline: float) -> None:
        try:
            self._overdue(deadline)
        except Exception as error:
            warn_once("telemetry failed at the deadline: %r", error)

    def _run_flush(self) -> None:
        """What the handler has left to us."""
        with self._state:
            flush, self._flush = self._flush, None
        if flush is not None:
            try:
                flush()
            except Exception as error:
                warn_once("telemetry failed after the response: %r", error)

    def _stumbled(self, error: BaseException, failures: int) -> None:
        """Lambda's answer was none. We may have missed an invocation: until the next one none is left to us."""
        with self._state:
            self._attends = False
        self._hang_up()
        self._run_flush()
        if failures == 3:
            logger.warning("Lambda's Extensions API does not answer, flushing before the response: %r", error)
        time.sleep(min(_PAUSE_MAX, _PAUSE * 2 ** min(failures, 10)))


def in_runtime_process() -> bool:
    """Whether this is the process that Lambda's runtime client runs in, and not one that a function started."""
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ or "awslambdaric.bootstrap" not in sys.modules:
        return False
    # A spawned or forkserver child may import the runtime client as its main module, and then the handler's module.
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False
    return os.environ.get(CLAIM, str(os.getpid())) == str(os.getpid())


def register(flush_mode: str, reserve: float, overdue: Callable[[float], object]) -> Extension | None:
    """Register this process, or say why not. With `before_return` for no events: Lambda then still sends SIGTERM."""
    os.environ[CLAIM] = str(os.getpid())
    events = [] if flush_mode == "before_return" else ["INVOKE"]
    try:
        return Extension(os.environ["AWS_LAMBDA_RUNTIME_API"], events, reserve, overdue)
    except Exception as error:
        level = warn_once if flush_mode == "after_response" else logger.debug
        level("no extension, flushing before the response: %s", error)
        return None


def _main_cpu() -> float:
    """CPU seconds that the main thread has used, which is the one that parses events and calls handlers."""
    return time.clock_gettime(time.pthread_getcpuclockid(threading.main_thread().ident or 0))


def _others_cpu() -> float:
    """CPU seconds that threads other than this one have used."""
    return time.process_time() - time.thread_time()
