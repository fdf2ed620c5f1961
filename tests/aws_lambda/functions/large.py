"""A slow function: it has a small share of one core, as functions with little memory do."""

from __future__ import annotations

import os
from typing import Any

from zespan_serverless import capture, zespan_lambda

if os.environ.get("SMALL") == "1":
    os.sched_setaffinity(0, {0})
    os.nice(10)


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> int:
    capture({"span_kind": "llm", "operation": "chat"})
    return len(event["rows"])
