"""With this package."""

from __future__ import annotations

from typing import Any

from zespan_serverless import zespan_lambda

from .work import answer


@zespan_lambda(service_name="weather")
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event["question"])
