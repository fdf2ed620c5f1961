"""What type checkers make of the public API. Read by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

from zespan_serverless import (
    FlushReport,
    capture,
    flush,
    init,
    shutdown,
    span,
    with_context,
    wrap_openai,
    zespan_lambda,
)


@zespan_lambda
def bare(event: dict[str, Any], context: object) -> int:
    return len(event)


@zespan_lambda(flush_timeout=0.5)
def configured(event: dict[str, Any], context: object) -> str:
    return str(event)


@zespan_lambda()
def called(event: list[int], context: object) -> list[int]:
    return event


@zespan_lambda
async def asynchronous(event: dict[str, Any], context: object) -> bytes:
    return b""


@zespan_lambda(environment="test")
async def asynchronous_configured(event: dict[str, Any], context: object) -> bytes:
    return b""


class Handlers:
    def __call__(self, event: dict[str, Any], context: object) -> float:
        return 0.0

    def method(self, event: dict[str, Any], context: object) -> float:
        return 0.0


assert_type(bare({}, None), int)
assert_type(bare(event={}, context=None), int)
assert_type(configured({}, None), str)
assert_type(called([1], None), list[int])
assert_type(asynchronous({}, None), bytes)  # Lambda calls it and gets the result
assert_type(asynchronous_configured({}, None), bytes)
assert_type(zespan_lambda(Handlers())({}, None), float)
assert_type(zespan_lambda(Handlers().method)({}, None), float)

bare("not a dict", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
bare({})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Client:
    pass


def by_hand() -> None:
    with init(environment="test"), with_context(user_id="u", tags={"a": "b"}), span("step") as details:
        details["found"] = 1
        capture({"operation": "x"})
    assert_type(flush(1.0, raise_on_pending=True), FlushReport)
    assert_type(shutdown(), FlushReport)
    assert_type(wrap_openai(Client()), Client)


@with_context(tags={"feature": "search"})
def decorated(question: str) -> int:
    return len(question)


assert_type(decorated("?"), int)
