"""Handlers of every shape that Lambda takes."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zespan_serverless import capture, zespan_lambda


class Handlers:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def __call__(self, event: Any, context: Any) -> str:
        capture({"span_kind": "llm", "operation": "chat"})
        return f"{self.greeting} {event}"

    def method(self, event: Any, context: Any) -> str:
        return self(event, context)

    @zespan_lambda
    def decorated_in_class(self, event: Any, context: Any) -> str:
        return self(event, context)


class AsyncHandlers:
    async def __call__(self, event: Any, context: Any) -> str:
        capture({"span_kind": "llm", "operation": "chat"})
        return f"hello {event}"


def greet(greeting: str, event: Any, context: Any) -> str:
    return Handlers(greeting)(event, context)


async def greet_async(greeting: str, event: Any, context: Any) -> str:
    return await AsyncHandlers()(event, context)


with_object = zespan_lambda(Handlers("hello"))
with_method = zespan_lambda(Handlers("hello").method)
with_method_of_class = Handlers("hello").decorated_in_class
with_partial = zespan_lambda(functools.partial(greet, "hello"))
with_async_object = zespan_lambda(AsyncHandlers())
with_async_partial = zespan_lambda(functools.partial(greet_async, "hello"))
with_settings = zespan_lambda(flush_timeout=0.5, tags={"team": "search"})(Handlers("hello"))


@zespan_lambda
def with_threads(event: Any, context: Any) -> str:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(capture, {"span_kind": "llm", "operation": "chat"})
    return f"hello {event}"
