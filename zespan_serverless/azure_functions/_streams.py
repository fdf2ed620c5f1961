"""Streamed responses, which end when their bodies do.

With `azurefunctions-extensions-http-fastapi` a function returns a StreamingResponse, and the worker's own web server
reads its body afterwards: https://learn.microsoft.com/azure/azure-functions/functions-reference-python#http-streams
"""

from __future__ import annotations

from typing import Any

from .._base.guard import Guarded
from .._observe.bodies import AsyncBody, Exchange


def follow(result: Any, exchange: Exchange) -> None:
    """Have the invocation end with the body of `result`, if that is a stream. Never raises."""
    with Guarded("a streamed response"):
        body = getattr(result, "body_iterator", None)
        if hasattr(type(body), "__aiter__"):
            exchange.status = getattr(result, "status_code", None)
            AsyncBody.of(result, exchange)
            exchange.call.reset()
