"""Which model calls never arrive: after a freeze, a kill, or an outage of the backend; and what an outage costs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .instance import Instance
from .setting import Setting

DRAIN = 1.0  # seconds that what has been sent may take to arrive
QUIET = 8.0  # seconds after an outage in which nothing is called
TIMEOUT = 5  # of the function, in seconds
ATTEMPTS = 4

_starting = threading.Lock()  # an init takes all of a core, and is limited to 10 s


def freeze(setting: Setting) -> dict[str, Any]:
    """Invocations with three model calls of 0.7 s, then a freeze. The last one does not end."""
    setting.standins.model(0.69)
    count = setting.rounds(5)

    def measure(name: str) -> dict[str, Any]:
        with _warm(setting, name, setting.standins.backend(0.2)) as instance:
            called = []
            for _ in range(count):
                called.append(instance.call(calls=3))
                time.sleep(2.2)
            instance.send_signal(signal.SIGKILL)  # Lambda takes a frozen sandbox away without a notice
            time.sleep(DRAIN)
            return {
                "calls": count * 3,
                "failed": sum(not one.is_answered for one in called),
                "arrived": instance.arrived(*called),
                "arrived_in_time": instance.arrived(*called, in_time=True),
            }

    found = setting.side_by_side(measure)
    setting.standins.model()
    return found


def kill(setting: Setting) -> dict[str, Any]:
    """The process is killed after the model call, as when its memory is used up; then there is another invocation."""
    count = setting.rounds(3, 1)

    def measure(name: str) -> dict[str, Any]:
        arrived = answered = 0
        for _ in range(count):
            with _warm(setting, name) as instance:
                with _starting:
                    killed = instance.call(freezes=False, crash=True)
                    answered += instance.call().is_answered
                instance.thaw()
                time.sleep(DRAIN)
                arrived += instance.arrived(killed)
        return {"calls": count, "arrived": arrived, "next_answered": answered}

    return setting.side_by_side(measure, 3)


def outage(setting: Setting) -> dict[str, Any]:
    """The backend does not answer for some invocations, then it does again; the function's timeout is 5 s."""
    return _outage(setting, "hang")


def refusal(setting: Setting) -> dict[str, Any]:
    """The same with a backend that refuses connections."""
    return _outage(setting, "refuse")


def _outage(setting: Setting, mode: str) -> dict[str, Any]:
    count = setting.rounds(8)

    def measure(name: str) -> dict[str, Any]:
        with _warm(setting, name, timeout=TIMEOUT) as instance:
            instance.destination.mode(mode)
            during = [instance.call() for _ in range(count)]
            instance.destination.mode("ok")
            time.sleep(QUIET)
            after = [instance.call() for _ in range(3)]
            instance.thaw()
            time.sleep(DRAIN)
            return {
                "calls": count,
                "answered": sum(one.is_answered for one in during),
                "timeouts": sum(one.invoke.timed_out for one in during),
                "slowest_response_ms": round(max(one.response_ms for one in during), 1),
                "billed_ms": round(sum(one.billed_ms for one in during)),
                "arrived": instance.arrived(*during),
                "after_calls": len(after),
                "after_arrived": instance.arrived(*after),
            }

    return setting.side_by_side(measure)


@contextmanager
def _warm(setting: Setting, name: str, *args: Any, **options: Any) -> Iterator[Instance]:
    """Start an instance, and call it until it answers: on a busy machine the init may take longer than the timeout."""
    with setting.instance(name, *args, **options) as instance:
        with _starting:
            called = instance.call()
            for _ in range(ATTEMPTS):
                if called.is_answered:
                    break
                called = instance.call()
            else:
                raise RuntimeError(f"{name} has failed: {called.invoke.body}\n{called.invoke.log}")
        yield instance
