"""What type checkers make of the public API. Read by mypy and pyright, never run."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any, assert_type

from zespan_serverless import (
    FlushReport,
    capture,
    flush,
    init,
    run,
    shutdown,
    span,
    with_context,
    wrap_openai,
    zespan_azure,
    zespan_lambda,
    zespan_vercel,
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


@run
def bare_run(lines: list[str]) -> int:
    return len(lines)


@run("digest", environment="batch")
async def configured_run(lines: list[str]) -> str:
    return lines[0]


assert_type(bare_run([""]), int)
with run("block"):
    pass


@zespan_vercel
class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None: ...


@zespan_vercel(flush_timeout=0.5)
async def application(scope: dict[str, Any], receive: object, send: object) -> None: ...


async def awaited() -> None:
    assert_type(await configured_run([""]), str)
    assert_type(await application({}, None, None), None)


assert_type(Handler, type[Handler])


@zespan_azure
def on_azure(req: str) -> int:
    return len(req)


@zespan_azure(flush_mode="before_return")
async def on_azure_async(req: str, context: object) -> bytes:
    return b""


async def azure_functions_stay_what_they_are() -> None:
    assert_type(on_azure("x"), int)
    assert_type(await on_azure_async("x", None), bytes)
