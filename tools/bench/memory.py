"""The memory of a process after 1,000, 10,000 and 100,000 invocations."""

from __future__ import annotations

from typing import Any

from .setting import Setting

READINGS = (1_000, 10_000, 100_000)
SHOWN = ("package", "flush")


def memory(setting: Setting) -> dict[str, Any]:
    """One model call in each invocation, which takes no time, as does the backend. Nothing is frozen."""
    setting.standins.model(0)
    setting = setting.only(SHOWN)
    readings = [setting.rounds(count) for count in READINGS]

    def measure(name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with setting.instance(name, setting.standins.backend(0)) as instance:
            failed = 0
            for number in range(1, readings[-1] + 1):
                failed += not instance.call(freezes=False).is_answered
                if number in readings:
                    found[str(number)] = instance.memory()
            return {"memory_mb": found, "failed": failed, "requests": instance.destination.requests()}

    found = setting.side_by_side(measure)
    setting.standins.model()
    return found
