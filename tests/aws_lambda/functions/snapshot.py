"""A function that lives through a snapshot, with hooks of its own, and a clock that jumps when one is restored."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from snapshot_restore_py import register_after_restore, register_before_snapshot

from zespan_serverless import _process, capture, flush, init, testing, zespan_lambda

_time = time.time
_jumped = Path(os.environ["JUMPED"])


def jumping() -> float:
    return _time() + float(os.environ.get("JUMP", "0")) * _jumped.exists()


time.time = jumping


@register_before_snapshot  # type: ignore[untyped-decorator]
def warm_up_early() -> None:
    """Called last of the user's own hooks."""
    capture({"span_kind": "llm", "operation": "before the snapshot"})


@register_after_restore  # type: ignore[untyped-decorator]
def start_again() -> None:
    capture({"span_kind": "llm", "operation": "after the restore"})
    flush()


@zespan_lambda
def handler(event: Any, context: Any) -> Any:
    capture({"span_kind": "llm", "operation": "in the handler"})
    return {"pid": os.getpid(), "threads": sorted(thread.name for thread in threading.enumerate())}


@register_before_snapshot  # type: ignore[untyped-decorator]
def warm_up() -> None:
    handler({}, testing.LambdaContext())


if os.environ.get("BREAK"):

    def broken() -> None:
        raise RuntimeError("ours fails")

    _process.pause = _process.resume = broken

init()
capture({"span_kind": "llm", "operation": "at import"})
