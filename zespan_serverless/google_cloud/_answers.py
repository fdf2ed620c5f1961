"""Reads the status of what a function returns, and follows the body and the tasks that run after its return.

A streamed body is produced while it is sent: in Flask by a generator, or a Response around one; in Starlette by a
StreamingResponse, which may also have background tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded
from .._observe.bodies import AsyncBody, Body, Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Answer(Exchange):
    """The response of a function. Its invocation ends once: when the function returns, or when the body ends."""

    def failure(self, error: BaseException) -> BaseException | None:
        """Return no failure for `abort(404)` of Flask or Starlette, which is a response like any other."""
        with Guarded("a response"):
            self.status = _status_of(error)
        return None if self.status is not None else error

    def follow(self, result: Any) -> Any:
        with Guarded("a response"):
            if result is not None or self._method:  # for an event, no result is not a failure
                self.status = _status(result)
            return self._with_body(result)
        return result

    def _with_body(self, result: Any) -> Any:
        if isinstance(result, tuple):  # (body, status, headers), of which Flask makes a response
            body = self._with_body(result[0]) if result else None
            return (body, *result[1:]) if self.is_streamed else result
        if isinstance(result, Iterator):
            return Body(result, self)
        if _is_one_of(result, "werkzeug", "Response") and result.is_streamed and not result.direct_passthrough:
            self.announced(lambda: result.headers.get("content-length"))
            result.response = Body(result.response, self)
            return result
        if not _is_one_of(result, "starlette", "Response"):
            return result
        if result.background is not None:
            result.background = _Background(result.background, self)
        if hasattr(result, "body_iterator"):
            self.announced(lambda: result.headers.get("content-length"))
            AsyncBody.of(result, self)
        return result


class GeneratorAnswer(Exchange):
    """The response of a generator: its items are a body, and the status is always 200."""

    def begin(self) -> None:
        self.status = 200 if self._method else None
        super().begin()


class _Background:
    """Starlette's background tasks: they belong to the request's trace, although the response has been sent."""

    def __init__(self, task: Callable[[], Awaitable[None]], answer: Answer) -> None:
        self._task, self._answer = task, answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)  # `add_task`

    async def __call__(self) -> None:
        here = _trace.Entered(self._answer.active.span)
        try:
            here.enter()
            await self._task()
        finally:
            here.leave()
            self._answer.flush_rest()


def _status(result: Any) -> int | None:
    """Return the status of the response that the framework makes from a result; None if it is unknown."""
    if isinstance(result, tuple):
        status = next((part for part in result[1:] if isinstance(part, (int, str))), None)
        if isinstance(status, str):
            status = int(status[:3])
        return status or _status(result[0])
    if _is_one_of(result, "werkzeug", "Response") or _is_one_of(result, "starlette", "Response"):
        return int(result.status_code)
    if result is None:
        return 500  # the same in Flask and Starlette
    return 200 if isinstance(result, (str, bytes, bytearray, dict, list, Iterator)) else None


def _status_of(error: BaseException) -> int | None:
    """Return the status of an exception that the framework turns into a response; None for any other exception."""
    status: object = None
    if _is_one_of(error, "werkzeug", "HTTPException"):
        status = getattr(error, "code", None)
    elif _is_one_of(error, "starlette", "HTTPException"):
        status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _is_one_of(value: object, package: str, name: str) -> bool:
    """Whether the value's class is the package's class of this name, or derives from it. Needs no import."""
    return any(kind.__name__ == name and kind.__module__.startswith(package + ".") for kind in type(value).__mro__)
