"""Has other SDKs flushed: one that is quick, and one that hangs while the environment says so."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from zespan_serverless import zespan_lambda
from zespan_serverless.types import FlushReport

HANGS = float(os.environ.get("HANGS", "0"))
calls = {"quick": 0, "slow": 0}


def quick() -> None:
    calls["quick"] += 1


def slow(timeout: float) -> None:
    calls["slow"] += 1
    time.sleep(HANGS)


def told(report: FlushReport) -> None:
    sys.stdout.write(json.dumps([[one.name, one.outcome] for one in report.others]) + "\n")
    sys.stdout.flush()


@zespan_lambda(flush=[quick, slow], on_flush=told, flush_timeout=0.3)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Return the counts of the invocations before."""
    return dict(calls)
