"""A function for Managed Instances: it says which of several processes has served an invocation."""

from __future__ import annotations

import os
import time
from typing import Any

from zespan_serverless import capture, zespan_lambda


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> Any:
    capture({"span_kind": "llm", "operation": "chat"})
    time.sleep(event.get("sleep", 0))
    if event.get("leave"):
        raise SystemExit(1)
    return {"pid": os.getpid(), "left": context.get_remaining_time_in_millis()}
