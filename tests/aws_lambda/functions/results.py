"""Handlers whose results are not plain JSON."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from zespan_serverless import zespan_lambda


def bare(event: Any, context: Any) -> Any:
    kinds: dict[str, Any] = {"decimal": {"amount": Decimal("1.5")}, "bytes": {"statusCode": 500, "body": b"\xff"}}
    return kinds.get(event["kind"], {1})


def as_text(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> str:
        return str(handler(event, context))

    return wrapper


handler = zespan_lambda(bare)
serialized = as_text(zespan_lambda(bare))
