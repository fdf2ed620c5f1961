"""Decorates at the first call, when Lambda takes no registrations any more."""

from __future__ import annotations

from typing import Any

from zespan_serverless import capture, zespan_lambda


def handler(event: Any, context: Any) -> str:
    @zespan_lambda
    def inner(event: Any, context: Any) -> str:
        capture({"span_kind": "llm", "operation": "chat"})
        return "answered"

    return inner(event, context)
