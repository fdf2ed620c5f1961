"""The share of a CPU that Lambda gives a function: 1,769 MB of memory are one vCPU.

A control group (cgroup) of Linux enforces it, where this user may make one: in a container that has its own, as root,
or where systemd has delegated the controller `cpu`. Elsewhere the function gets all of this machine, and a note says
so. The first init gets a whole vCPU at least, because Lambda gives an init more than the calls.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MB_PER_CPU = 1769
PERIOD = 20_000  # microseconds, as short as Lambda's: a function with little memory computes in short pieces

_numbers = itertools.count(1)


def share(memory: int) -> float:
    """Return how many vCPUs a function with so many MB gets."""
    return memory / MB_PER_CPU


class CpuLimit:
    """A cgroup with a quota. ``join`` is the file that a process writes its id to; None if no cgroup can be created.

    ``trouble`` says why there is none.
    """

    def __init__(self, memory: int, root: Path = Path("/")) -> None:
        self.join: Path | None = None
        self.trouble = "this machine has no control groups"
        self._folder: Path | None = None
        self._is_v2, self._share = True, share(memory)
        for parent, is_v2 in _parents(root):
            try:
                self._is_v2 = is_v2
                self._make(parent)
                return
            except OSError as error:
                self.trouble = f"no control group for a CPU quota can be made here ({error.strerror})"
                self.close()

    def enforce(self) -> None:
        """Limit it to its share, because the init is over."""
        with suppress(OSError):
            self._allow(self._share)

    def close(self) -> None:
        """Remove the cgroup, when its processes are gone."""
        folder, self._folder, self.join = self._folder, None, None
        for _ in range(50):
            if folder is None:
                return
            with suppress(OSError):
                folder.rmdir()
                return
            time.sleep(0.02)

    def _make(self, parent: Path) -> None:
        if self._is_v2 and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
            (parent / "cgroup.subtree_control").write_text("+cpu")
        folder = parent / f"zespan-{os.getpid()}-{next(_numbers)}"
        folder.mkdir()
        self._folder = folder
        self._allow(max(self._share, 1.0))
        self.join = folder / "cgroup.procs"

    def _allow(self, cpus: float) -> None:
        quota = max(int(cpus * PERIOD), 1000)  # the kernel allows no less
        if self._folder is None:
            return
        if self._is_v2:
            (self._folder / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (self._folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota))


def _parents(root: Path) -> Iterator[tuple[Path, bool]]:
    """Cgroups that a new one may be made in, the nearest first; and whether each is of version 2."""
    own: dict[str, str] = {}  # by controller; "" is version 2's
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        mount = root / before.split()[4].lstrip("/")
        if kind == "cgroup" and "cpu" in options.split()[-1].split(","):
            yield mount / own.get("cpu", "/").lstrip("/"), False
        elif kind == "cgroup2":
            here = mount / own.get("", "/").lstrip("/")
            for parent in (here, *here.parents):
                if "cpu" in " ".join(_lines(parent / "cgroup.controllers")).split():
                    yield parent, True


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
