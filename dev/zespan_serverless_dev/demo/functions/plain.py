"""Without telemetry."""

from __future__ import annotations

from typing import Any

from .work import answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event["question"])
