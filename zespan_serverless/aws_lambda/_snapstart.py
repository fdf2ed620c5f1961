"""SnapStart: Lambda starts one process, takes a snapshot of it, and restores many processes from the snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. Before the snapshot, pending events
are sent, because otherwise each restored process would send them; thread, connection and credentials are given up. A
restored process starts again: its connections are dead, the backend may be reachable again, clocks have jumped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _process
from .._base.guard import Guarded
from .._base.log import warn_once

if TYPE_CHECKING:
    from typing import Any


def register() -> None:
    """Register hooks with Lambda's runtime client.

    Ours runs last before the snapshot, because the user's hooks may capture events when they warm something up. It
    runs first after the restore, because the user's hooks may need us.
    """
    try:
        from snapshot_restore_py import get_after_restore, get_before_snapshot
    except ImportError:  # Lambda's own runtimes have it, because the runtime client needs it
        text = "no snapshot_restore_py: what is captured before a snapshot may be sent more than once"
        warn_once("snapstart-hooks", text)
        return
    before: list[Any] = get_before_snapshot()  # the package's annotations leave out the arguments
    before.insert(0, (_before_snapshot, (), {}))  # these hooks are called in reverse order
    after: list[Any] = get_after_restore()
    after.insert(0, (_after_restore, (), {}))


def _before_snapshot() -> None:
    with Guarded("a snapshot"):
        _process.pause()


def _after_restore() -> None:
    with Guarded("a restore"):
        _process.resume()
