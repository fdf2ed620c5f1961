"""What type checkers make of the public API. Read by mypy and pyright, never run.

A line with `type: ignore` is a mistake that must be found: both report the comment where there is nothing to ignore.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any, assert_type

from zespan_serverless import (
    FlushReport,
    asgi,
    capture,
    flush,
    init,
    patch,
    run,
    shutdown,
    span,
    testing,
    with_context,
    wrap,
    wrap_openai,
    wsgi,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_job,
    zespan_lambda,
    zespan_vercel,
)
from zespan_serverless import zespan_lambada as zespan_lambada  # type: ignore[attr-defined]
from zespan_serverless.types import Dropped, Event, Exporter, Outcome, Record, Run, Session, Settings, SettingsKwargs


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

bare("not a dict", None)  # type: ignore[arg-type]
bare({})  # type: ignore[call-arg]


class Client:
    pass


def by_hand() -> None:
    with init(environment="test"), with_context(user_id="u", tags={"a": "b"}), span("step") as details:
        details["found"] = 1
        capture({"operation": "x"})
    assert_type(flush(1.0, raise_on_pending=True), FlushReport)
    assert_type(shutdown(), FlushReport)
    assert_type(wrap_openai(Client()), Client)
    assert_type(wrap(Client()), Client)
    patch()
    patch("openai", "bedrock")
    patch("boto3")  # type: ignore[arg-type]


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


def misspelt() -> None:
    zespan_lambda(flush_timout=0.5)  # type: ignore[call-overload]
    zespan_azure(flush_timeout="soon")  # type: ignore[call-overload]
    zespan_gcf(flush_mode="after-response")  # type: ignore[call-overload]
    zespan_cloud_event(sample_rat=1)  # type: ignore[call-overload]
    zespan_job(tgas={})  # type: ignore[call-overload]
    zespan_vercel(on_error=print, on_flush="print")  # type: ignore[call-overload]
    run("digest", max_event=5)  # type: ignore[call-overload]
    init(store_prompt=False)  # type: ignore[call-arg]
    init(exporter="zipkin")  # type: ignore[arg-type]
    asgi.ZespanMiddleware(application, flush_timout=0.5)  # type: ignore[call-arg]
    wsgi.ZespanMiddleware(lambda environ, start: [], batch_size="50")  # type: ignore[arg-type]
    with testing.recording(store_prompt=True):  # type: ignore[call-arg]
        pass


def every_setting(settings: SettingsKwargs) -> None:
    """A function that passes them on is checked like our own."""
    zespan_lambda(**settings)
    init(**settings)
    testing.recording(**settings)


class Sending(Exporter):
    """One's own exporter is a method."""

    destination = "https://collector.example"

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("delivered")


class Foreign:
    """One that derives from nothing has two."""

    def encode(self, record: Record) -> bytes:
        return b""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("retry", retry_after=5)


class Mute:
    def encode(self, record: Record) -> bytes:
        return b""


def alert(dropped: Dropped) -> None:
    assert_type(dropped.payloads, tuple[bytes, ...])


def annotated(event: Event, settings: Settings) -> Session:
    assert_type(settings.flush_timeout, float)
    run_: Run = run(exporter="console", journal="/var/tmp/events", redact_keys=["pin"], tags={"n": 1})
    with run_:
        zespan_lambda(exporter=Sending(), on_error=alert, api_key=None)
        zespan_lambda(exporter=Mute())  # type: ignore[call-overload]
        zespan_lambda(on_flush=alert)  # type: ignore[arg-type]
    return init(exporter=Foreign(), flush_timeout=1)
