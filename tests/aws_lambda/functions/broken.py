"""A module that fails after the decorator has registered the extension."""

from __future__ import annotations

from typing import Any

from zespan_serverless import zespan_lambda


@zespan_lambda
def handler(event: Any, context: Any) -> None: ...


raise ImportError("no luck")
