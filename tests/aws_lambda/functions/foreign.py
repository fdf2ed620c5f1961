"""A handler that is not ours, with a decorated helper that it calls as its event says."""

from __future__ import annotations

import time
import types
import uuid
from typing import Any

from zespan_serverless import capture, zespan_lambda


@zespan_lambda
def helper(event: Any, context: Any = None) -> str:
    capture({"span_kind": "llm", "operation": "chat"})
    return "helped"


def handler(event: dict[str, Any], context: Any) -> list[str]:
    time.sleep(event.get("sleep", 0))
    match event.get("call"):
        case "with context":
            return [helper(event, context)]
        case "without context":
            return [helper(event)]
        case "twice":
            return [helper(event, context), helper(event, context)]
        case "made-up context":
            made_up = types.SimpleNamespace(aws_request_id=str(uuid.uuid4()))
            return [helper(event, made_up), helper(event, context)]
    return []
