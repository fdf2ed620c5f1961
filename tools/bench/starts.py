"""Cold starts: the init, the first invocation, CPU and memory."""

from __future__ import annotations

from typing import Any

from .figures import compared
from .setting import Setting
from .subjects import BARE


def cold(setting: Setting) -> dict[str, Any]:
    """Start each subject in turn, with its bytecode."""
    return _starts(setting, setting.rounds(30), bytecode=True)


def source(setting: Setting) -> dict[str, Any]:
    """The same without bytecode, as `sam build` packs it: each module is compiled at each start."""
    return _starts(setting, setting.rounds(3), bytecode=False)


def _starts(setting: Setting, rounds: int, bytecode: bool) -> dict[str, Any]:
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in setting.names}
    for number in range(rounds + 1):
        for name in setting.shuffled():
            found = _start(setting, name, bytecode)
            if number:  # the first round reads the files from the disk
                measured[name].append(found)
    return compared(measured, BARE)


def _start(setting: Setting, name: str, bytecode: bool) -> dict[str, float]:
    with setting.instance(name, bytecode=bytecode) as instance:
        called = instance.call()
        if not called.is_answered:
            raise RuntimeError(f"{name} has failed: {called.invoke.body}\n{called.invoke.log}")
        return {
            "init_ms": called.invoke.init_ms or 0.0,
            "first_ms": called.response_ms,
            "cpu_ms": instance.cpu() * 1000,
            "memory_mb": instance.memory(),
        }
