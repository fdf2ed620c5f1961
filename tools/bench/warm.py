"""Warm invocations: what is added to the response, to what is billed, and of CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from .figures import compared, percentile
from .instance import Called, Instance
from .setting import Setting
from .subjects import BARE

SKIPPED = 3  # invocations in which caches fill


def warm(setting: Setting) -> dict[str, Any]:
    """One model call of 50 ms in each invocation, a backend 30 ms away, a freeze after each invocation."""
    return measured(setting, setting.rounds(150))


def tls(setting: Setting) -> dict[str, Any]:
    """The same with HTTPS, and a backend 20 ms away, which takes 10 ms: the first invocation makes the connection."""
    trusted = {"SSL_CERT_FILE": str(setting.certificate), "REQUESTS_CA_BUNDLE": str(setting.certificate)}

    def start(name: str) -> Instance:
        return setting.instance(name, setting.standins.backend(0.01, tls=True, round_trip=0.02), env=trusted)

    return measured(setting, setting.rounds(15), start)


def measured(
    setting: Setting, rounds: int, start: Callable[[str], Instance] | None = None, skipped: int = SKIPPED, **event: Any
) -> dict[str, Any]:
    """Invoke an instance of each subject in turn, and return what that took."""
    with ExitStack() as stack:
        instances = {name: stack.enter_context((start or setting.instance)(name)) for name in setting.names}
        called: dict[str, list[Called]] = {name: [] for name in setting.names}
        for _ in range(rounds + skipped):
            for name in setting.shuffled():
                called[name].append(instances[name].call(**event))
        found = compared({name: [_figures(one) for one in called[name][skipped:]] for name in setting.names}, BARE)
        for name, instance in instances.items():
            found[name] |= _delivery(instance, called[name], skipped)
    for name in setting.names:
        for measure in ("response_ms", "billed_ms"):
            samples, beside = ([_figures(one)[measure] for one in called[of][skipped:]] for of in (name, BARE))
            found[name][f"{measure}_p99_added"] = percentile(samples, 99) - percentile(beside, 99)
    return found


def _figures(called: Called) -> dict[str, float]:
    payload: Mapping[str, float] = called.invoke.payload if called.is_answered else {}
    found = {"response_ms": called.response_ms, "billed_ms": called.billed_ms, "cpu_ms": called.cpu_ms}
    streamed = {name: payload[name] for name in ("first_ms", "piece_us") if payload.get(name)}
    return found | streamed


def _delivery(instance: Instance, called: list[Called], skipped: int) -> dict[str, Any]:
    """Return what the backend has got when the instance has been frozen for the last time, and before each freeze."""
    counted = called[skipped:]
    return {
        "first_billed_ms": round(called[0].billed_ms, 1),
        "memory_mb": instance.memory(),
        "failed": sum(not one.is_answered for one in called),
        "calls": sum(len(one.names) for one in counted),
        "arrived": instance.arrived(*counted),
        "arrived_in_time": instance.arrived(*counted, in_time=True),
        "requests": instance.destination.requests() / len(called),
    }
