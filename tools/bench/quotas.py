"""Warm invocations with the CPU and the memory that Lambda gives a function of a certain size."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from zespan_serverless_dev.invoke.cpu import CpuLimit

from .instance import Instance
from .setting import Setting
from .subjects import CLOSEST, FLOOR
from .warm import measured

SIZES = (128, 512, 1769)  # MB; the last is one vCPU

_numbers = itertools.count(1)


def quotas(setting: Setting) -> dict[str, Any]:
    """One model call of 50 ms in each invocation. The init has a whole vCPU at least, as on Lambda.

    Returns nothing where this user may make no control groups.
    """
    setting, found = setting.only((*CLOSEST, FLOOR)), {}
    for size in SIZES:
        with ExitStack() as stack:
            limits = {name: stack.enter_context(_quota(size)) for name in setting.names}
            if any(limit.cpu.join is None for limit in limits.values()):
                print(f"quotas are not measured: {limits[setting.names[0]].cpu.trouble}")
                return {}

            def start(name: str, limits: dict[str, Quota] = limits) -> Instance:
                limit = limits[name]
                instance = setting.instance(name, memory=limit.size, join=limit.cpu.join, wrapper=limit.wrapper)
                instance.call()
                limit.cpu.enforce()
                return instance

            found[str(size)] = measured(setting, setting.rounds(60), start)
            for name, limit in limits.items():
                found[str(size)][name]["peak_mb"] = limit.peak()
    return found


class Quota:
    """The control groups of one instance. `wrapper` starts the runtime in that of the memory, where there is one."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.cpu = size, CpuLimit(size)
        self._memory, self.wrapper = None, folder / "wrapper"
        lines = ["#!/bin/sh"]
        with suppress(OSError, StopIteration):
            self._memory = _memory_group(self.cpu, size)
            lines.append(f"echo $$ >{self._memory}/cgroup.procs")
        self.wrapper.write_text("\n".join([*lines, 'exec "$@"', ""]))
        self.wrapper.chmod(0o755)

    def peak(self) -> float | None:
        """Return the most memory that the process has had so far, with its part of the page cache, in MB."""
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if self._memory is not None and (self._memory / name).exists():
                return round(int((self._memory / name).read_text()) / 1e6, 1)
        return None

    def close(self) -> None:
        """Remove the groups, when their processes are gone."""
        self.cpu.close()
        for _ in range(50):
            if self._memory is None or not self._memory.exists():
                return
            with suppress(OSError):
                self._memory.rmdir()
            time.sleep(0.02)


@contextmanager
def _quota(size: int) -> Iterator[Quota]:
    with tempfile.TemporaryDirectory() as folder:
        limit = Quota(size, Path(folder))
        try:
            yield limit
        finally:
            limit.close()


def _memory_group(cpu: CpuLimit, size: int) -> Path:
    """Make a group that limits memory, and return its folder. In version 2, one group limits both."""
    limit = str(size * 1024 * 1024)
    if cpu.join is not None and (cpu.join.parent / "memory.max").exists():
        (cpu.join.parent / "memory.max").write_text(limit)
        return cpu.join.parent
    own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line)
    folder = Path(f"/sys/fs/cgroup/memory{own.rpartition(':')[2]}") / f"zespan-bench-{os.getpid()}-{next(_numbers)}"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(limit)
    return folder
