"""Captures as many events as the event says, and says whether a module has been imported."""

from __future__ import annotations

import sys
from typing import Any

from zespan_serverless import capture, zespan_lambda


@zespan_lambda
def handler(event: dict[str, Any] | None, context: Any) -> str:
    if event and event.get("module") in sys.modules:
        return "imported"
    for _ in range((event or {}).get("count", 1)):
        capture({"span_kind": "llm", "operation": "chat"})
    return "answered"
