"""SnapStart: Lambda starts one process, takes a snapshot of it, and has many go on from there.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. Before it, what was captured is sent,
or every one of them would send it; thread, connection and credentials are given up. After it each is as if just
started: dead connections, a backend that may be back, clocks that have jumped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _process
from .._base.guard import Guarded
from .._base.log import warn_once

if TYPE_CHECKING:
    from typing import Any


def register() -> None:
    """Have Lambda's runtime client call us: last before the snapshot, for hooks of the user's capture events too when
    they warm something up; and first after it, before those of the user's that need us."""
    try:
        from snapshot_restore_py import get_after_restore, get_before_snapshot
    except ImportError:  # part of Lambda's own runtimes, and needed by the runtime client
        warn_once("no snapshot_restore_py: what is captured before a snapshot may be sent more than once")
        return
    before: list[Any] = get_before_snapshot()  # its own types say that these hold functions
    before.insert(0, (_before_snapshot, (), {}))  # they are called in reverse order
    after: list[Any] = get_after_restore()
    after.insert(0, (_after_restore, (), {}))


def _before_snapshot() -> None:
    with Guarded("a snapshot"):
        _process.pause()


def _after_restore() -> None:
    with Guarded("a restore"):
        _process.resume()
