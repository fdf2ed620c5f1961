"""Decorated functions inside one another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from zespan_serverless import capture, zespan_lambda


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@zespan_lambda
def inner(event: Any, context: Any) -> str:
    capture({"span_kind": "llm", "operation": "chat"})
    return "inner"


@zespan_lambda
def outer(event: Any, context: Any) -> str:
    return inner(event, context)


twice = zespan_lambda(inner)
with_another_between = zespan_lambda(plain(inner))
