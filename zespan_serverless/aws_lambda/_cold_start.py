"""Determines how this process started, as far as a function can know."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .._base import RESETS
from .._base.guard import pass_on
from .._record.invocation import ColdStart

if TYPE_CHECKING:
    from .._record.invocation import StartKind

PROACTIVE_AFTER = 10.0
"""Seconds between import and first invocation above which Lambda must have started the sandbox in advance: on-demand
init lasts at most 10 s (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html)."""

_imported_at: float | None = None


def imported() -> None:
    """Note that the handler's module is being imported, which is nearly the end of init."""
    global _imported_at
    if _imported_at is None:
        _imported_at = time.time()


def _reset() -> None:
    global _imported_at
    _imported_at = None


RESETS.append(_reset)


def origin() -> ColdStart:
    """Return how this process started. Called at the first invocation, and at the first after a restore."""
    initialized = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
    if initialized == "snap-start":
        return ColdStart("snapstart")  # the clocks that could measure its init have jumped since
    if "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ:  # Managed Instances: paid for, and one disk for several processes
        return ColdStart("provisioned", _init_ms())
    now = time.time()
    kind = _kind(now - (_imported_at or now), _sandbox_known())
    if initialized == "provisioned-concurrency" and kind != "reinit":
        kind = "provisioned"
    return ColdStart(kind, _init_ms())


def _kind(waited: float, sandbox_known: bool) -> StartKind:
    if sandbox_known:
        return "reinit"
    return "proactive" if waited > PROACTIVE_AFTER else "cold"


def _sandbox_known() -> bool:
    """Whether an earlier process has served in this sandbox: its disk survives a reset after a timeout or a crash."""
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        return False
    folder = os.environ.get("TMPDIR") or "/tmp"
    stream = "".join(c if c.isalnum() else "-" for c in os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""))
    try:
        os.close(os.open(f"{folder}/.zespan-sandbox-{stream[:128]}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return True
    except OSError as error:  # a read-only or full disk: then a reset looks like a cold start
        pass_on(error)
    return False


def _init_ms() -> float | None:
    """Return the milliseconds from process start to import of the handler's module, from /proc (Linux)."""
    if _imported_at is None:
        return None
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123 (pathlib would be one more import)
            ticks = int(stat.read().rpartition(b")")[2].split()[19])  # field 22: starttime
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError) as error:
        pass_on(error)
        return None
    return round(max(0.0, age - (time.time() - _imported_at)) * 1000, 1)
