"""The internal extension: what lets a flush run after the response, and what makes Lambda send SIGTERM at all.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Lambda hands the response to the caller as
soon as the runtime has posted it; the invocation goes on until every extension registered for INVOKE has asked for the
next event. So a thread of ours asks when the flush is done.

Three rules keep that from hurting anybody:
* Registered only in the runtime's own process: whatever registers and then never asks makes init hang.
* The thread that asks does no I/O with a backend. It waits for the sender, and asks at the deadline less the reserve
  whatever the sender is doing: work that outlasts the timeout would turn a finished invocation into a failed one.
* An invocation whose handler does not start is not waited for: a bad event, or a handler that is not ours.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING

from .._log import logger, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "zespan-serverless"
CLAIM = "_ZESPAN_SERVERLESS_RUNTIME"  # holds the pid that registered; children inherit the environment, not the pid

_PATH = "/2020-01-01/extension/"
_LOOK, _LOOKS, _GRACE = 0.005, 3, 0.25  # seconds between looks; looks without anybody computing; seconds in all
_COMPUTED = 0.0002  # CPU seconds between two looks that count as somebody computing
_REGISTER_TIMEOUT = 2.0
_HEAD_START = 0.001  # seconds: the runtime gets its event at the same moment, and its thread wants the GIL more


class Extension:
    """This process's registration, and the thread that keeps asking for events."""

    def __init__(self, api: str, events: list[str], reserve: float) -> None:
        self._api, self._reserve = api, reserve
        self._connection = http.client.HTTPConnection(api, timeout=_REGISTER_TIMEOUT)
        self._id = self._register(events)
        self._state = threading.Condition(threading.Lock())
        self._started = self._released = ""
        self._finished: tuple[str, Callable[[], object] | None] = ("", None)
        self.attends = "INVOKE" in events
        """Whether it takes part in invocations; not without INVOKE, and no longer once the API has failed us."""
        threading.Thread(target=self._run, name="zespan-extension", daemon=True).start()

    def begin(self, request_id: str) -> None:
        """The handler of this invocation has been called. Not notified: the thread looks every 5 ms, off our path."""
        self._started = request_id

    def end(self, request_id: str, flush: Callable[[], object] | None) -> bool:
        """The handler is done, and `flush` (if any) is to run now. False if this invocation is no longer waited for."""
        with self._state:
            if not self.attends or request_id == self._released:
                return False
            self._finished = (request_id, flush)
            self._state.notify()
            return True

    def _register(self, events: list[str]) -> str:
        headers = {"Lambda-Extension-Name": NAME, "Content-Type": "application/json"}
        self._connection.request("POST", _PATH + "register", json.dumps({"events": events}), headers)
        response = self._connection.getresponse()
        body = response.read()
        identifier = response.getheader("Lambda-Extension-Identifier")
        if response.status != 200 or not identifier:
            raise OSError(f"registration answered {response.status}: {body[:200]!r}")
        if self._connection.sock is not None:
            self._connection.sock.settimeout(None)  # the next event may be hours away
        self._connection.timeout = None
        return identifier

    def _run(self) -> None:
        failures = 0
        while failures < 3:
            try:
                event = self._next()
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures += 1
                self._connection.close()
                logger.debug("extension: %r", error)
                time.sleep(0.01)
                continue
            failures = 0
            if event.get("eventType") == "INVOKE":
                self._attend(str(event.get("requestId")), float(str(event.get("deadlineMs") or 0)) / 1000)
        with self._state:
            self.attends = False
        warn_once("Lambda's Extensions API stopped answering: flushing before the response from now on")

    def _next(self) -> dict[str, object]:
        self._connection.request("GET", _PATH + "event/next", headers={"Lambda-Extension-Identifier": self._id})
        if self._connection.sock is not None:
            select.select([self._connection.sock], [], [])
            time.sleep(_HEAD_START)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"next answered {response.status}: {body[:200]!r}")
        event = json.loads(body)
        return event if isinstance(event, dict) else {}

    def _attend(self, request_id: str, deadline: float) -> None:
        """Return when the invocation may end as far as we are concerned."""
        until = deadline - self._reserve
        with self._state:
            if self._starts(request_id):
                while self._finished[0] != request_id and (left := until - time.time()) > 0:
                    self._state.wait(left)
            done, flush = self._finished
            if done != request_id:
                flush = None
                self._released = request_id  # who comes later flushes for himself
        if flush is not None:
            try:
                flush()
            except Exception as error:
                warn_once("telemetry failed after the response: %r", error)
        self._finished = ("", None)  # do not keep the invocation alive

    def _starts(self, request_id: str) -> bool:
        """Whether the handler of this invocation is ours and has been called, or is about to be.

        No clock can tell alone: json.loads of a 6 MB event holds the GIL, and on a small function takes seconds. What
        tells is that nobody computes: then there is nothing left that could be about to call the handler.
        """
        began, still, before = time.monotonic(), 0, _others_cpu()
        while request_id not in (self._started, self._finished[0]):
            if still >= _LOOKS or time.monotonic() - began > _GRACE:
                return False
            self._state.wait(_LOOK)
            now = _others_cpu()
            still = still + 1 if now - before < _COMPUTED else 0
            before = now
        return True


def in_runtime_process() -> bool:
    """Whether this is the process that Lambda's runtime client runs in, and not one that a function started."""
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ or "awslambdaric.bootstrap" not in sys.modules:
        return False
    # A spawned or forkserver child imports the runtime client as its main module, and then the handler's module.
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False
    return os.environ.get(CLAIM, str(os.getpid())) == str(os.getpid())


def register(flush_mode: str, reserve: float) -> Extension | None:
    """Register this process, or say why not. With `before_return` for no events: Lambda then still sends SIGTERM."""
    os.environ[CLAIM] = str(os.getpid())
    events = [] if flush_mode == "before_return" else ["INVOKE"]
    try:
        return Extension(os.environ["AWS_LAMBDA_RUNTIME_API"], events, reserve)
    except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
        level = warn_once if flush_mode == "after_response" else logger.debug
        level("no extension, flushing before the response: %s", error)
        return None


def _others_cpu() -> float:
    """CPU seconds that threads other than this one have used."""
    return time.process_time() - time.thread_time()
