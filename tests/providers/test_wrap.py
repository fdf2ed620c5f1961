"""What stands around another library's method."""

from __future__ import annotations

import asyncio
from typing import Any

from zespan_serverless.providers._wrap import Taker, observed


class Unhashable(type):
    """A metaclass whose classes have no hash."""

    def __eq__(cls, other: object) -> bool:
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


class Odd(metaclass=Unhashable):
    """The class of a result."""


def test_results_of_any_class_reach_the_caller() -> None:
    """Also those of a class that cannot be hashed, again and again."""
    seen: list[Any] = []

    def taken(result: Any, error: BaseException | None) -> Any:
        seen.append(result)
        return result

    results = [Odd(), Odd(), 1, None]
    method = observed(lambda number: results[number], lambda args, kwargs: Taker(taken))
    assert [method(number) for number in range(4)] == results
    assert seen == results


def test_an_awaitable_is_observed_when_it_is_awaited() -> None:
    """Of a function that is no coroutine function: what it returns tells, at each call."""
    seen: list[Any] = []

    async def answer() -> str:
        return "Hi"

    def taken(result: Any, error: BaseException | None) -> Any:
        seen.append(result)
        return result

    method = observed(lambda is_async: answer() if is_async else "Hi", lambda args, kwargs: Taker(taken))
    assert method(False) == "Hi"
    waiting = method(True)
    assert seen == ["Hi"]
    assert asyncio.run(waiting) == "Hi"
    assert seen == ["Hi", "Hi"]
