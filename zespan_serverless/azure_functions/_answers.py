"""Reads a function's result: the status of a response, and a body that is produced later.

With `azurefunctions-extensions-http-fastapi` a function returns a StreamingResponse, and the worker's own web server
reads its body afterwards: https://learn.microsoft.com/azure/azure-functions/functions-reference-python#http-streams
"""

from __future__ import annotations

from typing import Any

from .._base.guard import Guarded
from .._observe.bodies import AsyncBody, Exchange


class Answer(Exchange):
    """The result of a function. The invocation ends at its return, or with the body of a streamed response."""

    def follow(self, result: Any) -> Any:
        with Guarded("a response"):
            self.status = getattr(result, "status_code", None)
            body = getattr(result, "body_iterator", None)
            if hasattr(type(body), "__aiter__"):
                AsyncBody.of(result, self)
        return result
