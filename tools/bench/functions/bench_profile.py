"""A handler that stands before another module's, and notes what a warm invocation costs, by thread and by function.

BENCH_PROFILED names the module, BENCH_PROFILE what is noted: `cost`, `calls`, `instructions`, or nothing. The notes of
an invocation are a line of JSON in the file BENCH_NOTES. The response path is the main thread between the two calls of
the runtime's client: one returns the event, the other posts the answer.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

WHAT = os.environ["BENCH_PROFILE"]

noted: Counter[tuple[str, str, CodeType]] = Counter()
"""By thread, kind (`python`, `c`, `instructions`) and function; a call in C counts for the function that makes it."""


def called(frame: FrameType, event: str, argument: Any) -> None:
    """Count a call."""
    if event in ("call", "c_call"):
        noted[threading.current_thread().name, "python" if event == "call" else "c", frame.f_code] += 1


def executed(frame: FrameType, event: str, argument: Any) -> Any:
    """Count an instruction of Python's bytecode."""
    frame.f_trace_opcodes, frame.f_trace_lines = True, False
    if event == "opcode":
        noted[threading.current_thread().name, "instructions", frame.f_code] += 1
    return executed


def trace(on: bool) -> None:
    """Begin or stop to count in the main thread."""
    if WHAT == "calls":
        sys.setprofile(called if on else None)
    elif WHAT == "instructions":
        sys.settrace(executed if on else None)


class Invocation:
    """What is known when an event has been read."""

    def __init__(self) -> None:
        noted.clear()
        self._threads = _threads()
        self._main = self._at_response = _this_thread()

    def responds(self) -> None:
        """Note what the main thread has done until now."""
        self._at_response = _this_thread()

    def ended(self) -> dict[str, Any]:
        """Return the notes."""
        main, counted, now = _this_thread(), [*noted.items()], _threads()  # a list: other threads may still count
        threads = {name: _difference(now[name], before) for name, before in self._threads.items() if name in now}
        return {
            "response": _difference(self._at_response, self._main),
            "threads": {threading.main_thread().name: _difference(main, self._main), **threads},
            "counted": [[thread, kind, _name(code), number] for (thread, kind, code), number in counted],
            "ids": {thread.name: thread.native_id for thread in threading.enumerate()},
        }


Cost = tuple[float, float]  # how often a thread has waited, and its milliseconds of CPU


def _difference(after: Cost, before: Cost) -> Cost:
    return after[0] - before[0], after[1] - before[1]


def _this_thread() -> Cost:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw, time.thread_time_ns() / 1e6


def _threads() -> dict[str, Cost]:
    """Return what each other thread has cost so far: https://docs.kernel.org/scheduler/sched-stats.html.

    For the main thread, which reads this, the file is behind by up to one tick of the scheduler.
    """
    found: dict[str, Cost] = {}
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in others if WHAT == "cost" else ():
        folder = Path(f"/proc/self/task/{thread.native_id}")
        waits = (folder / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0]
        found[thread.name] = int(waits), int((folder / "schedstat").read_text().split()[0]) / 1e6
    return found


def _name(code: CodeType) -> str:
    file = code.co_filename
    at = file.rfind("zespan_serverless/")
    return f"{file[at:] if at >= 0 else file.rpartition('/')[2]}:{code.co_firstlineno} {code.co_qualname}"


def watch() -> None:
    """Wrap the methods of the runtime's client that an invocation begins and responds with."""
    following, post = LambdaRuntimeClient.wait_next_invocation, LambdaRuntimeClient.post_invocation_result
    invocations: list[Invocation] = []

    def wait_next_invocation(self: Any) -> Any:
        event = following(self)  # until it returns, other threads work for the invocation before
        if invocations:
            with Path(os.environ["BENCH_NOTES"]).open("a") as notes:
                notes.write(json.dumps(invocations.pop().ended()) + "\n")
        invocations.append(Invocation())
        trace(True)
        return event

    def post_invocation_result(self: Any, *args: Any, **kwargs: Any) -> Any:
        trace(False)
        invocations[-1].responds()
        return post(self, *args, **kwargs)

    LambdaRuntimeClient.wait_next_invocation = wait_next_invocation
    LambdaRuntimeClient.post_invocation_result = post_invocation_result


if WHAT == "calls":
    threading.setprofile(called)
elif WHAT == "instructions":
    threading.settrace(executed)
watch()
handler = importlib.import_module(os.environ["BENCH_PROFILED"]).handler
