"""Which processes of a worker were killed: by SIGKILL, or by a task's own `os._exit`.

Without a disk such a process cannot count the events that it has not sent. Every other one must.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_KILLED = re.compile(r"killed horse pid (\d+)|pid:(\d+) exited with 'signal 9 ")  # RQ, Celery


def in_log(log: str) -> set[int]:
    """Return the processes of which a worker has logged that they were killed."""
    return {int(found[found.lastindex or 1]) for found in _KILLED.finditer(log)}


def running(*, sessions: Iterable[int] = (), groups: Iterable[int] = ()) -> Iterator[int]:
    """Yield the processes that run in one of these sessions or groups. A worker has its own."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, group, session = stat.read_text().rpartition(")")[2].split()[:4]
            if (int(session) in sessions or int(group) in groups) and state not in "ZX":
                yield int(stat.parent.name)


def stopped(group: int) -> set[int]:
    """Stop the processes of a group, so that none of them ends before it is killed, and return them."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    return set(running(groups=[group]))
