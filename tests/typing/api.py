"""What type checkers make of the public API. Read by mypy and pyright, never run.

A line with `type: ignore` is a mistake that must be found: both report the comment where there is nothing to ignore.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any, assert_type

import httpx
import httpx2

from zespan_serverless import (
    FlushReport,
    after_restore,
    asgi,
    before_snapshot,
    capture,
    current_span,
    flush,
    flush_pending_events,
    init,
    patch,
    run,
    shutdown,
    span,
    task_scope,
    testing,
    time_left,
    with_context,
    wrap,
    wrap_openai,
    wsgi,
    zespan_agentcore,
    zespan_alibaba,
    zespan_azure,
    zespan_celery,
    zespan_cloud_event,
    zespan_gcf,
    zespan_job,
    zespan_lambda,
    zespan_openwhisk,
    zespan_oracle,
    zespan_vercel,
)
from zespan_serverless import zespan_lambada as zespan_lambada  # type: ignore[attr-defined]
from zespan_serverless.exporters.carbon import CarbonExporter
from zespan_serverless.types import (
    AgentSpan,
    Dropped,
    Event,
    EventFields,
    Exporter,
    GeneralSpan,
    HandoffSpan,
    ModelSpan,
    Outcome,
    PlanningSpan,
    Record,
    RetrieverSpan,
    Run,
    Session,
    Settings,
    SettingsKwargs,
    Task,
    ToolSpan,
)


@zespan_lambda
def bare(event: dict[str, Any], context: object) -> int:
    return len(event)


@zespan_lambda(flush_timeout=0.5)
def configured(event: dict[str, Any], context: object) -> str:
    return str(event)


before_snapshot()
after_restore()


@zespan_agentcore(flush_timeout=0.5)
async def agent(payload: dict[str, Any], context: object) -> str:
    return str(payload)


@zespan_alibaba(flush_timeout=0.5)
@zespan_openwhisk
@zespan_oracle(user_id=str)
def event_handler(event: dict[str, Any], context: object) -> str:
    return str(event)


assert_type(event_handler({}, None), str)


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
    assert_type(flush_pending_events(), FlushReport)
    assert_type(shutdown(), FlushReport)
    assert_type(time_left(), float | None)
    init(cap_timeouts=True)
    init(cap_timeouts=2.5)
    init(cap_timeouts="soon")  # type: ignore[arg-type]
    assert_type(wrap_openai(Client()), Client)
    assert_type(wrap(Client()), Client)
    patch()
    patch("openai", "bedrock")
    patch("boto3")  # type: ignore[arg-type]


@with_context(tags={"feature": "search"})
def decorated(question: str) -> int:
    return len(question)


assert_type(decorated("?"), int)


def targets() -> None:
    """Each kind of span has a target of its own, and editors complete what it has."""
    with span("a", kind="llm", model="m", provider="p", messages=[{"role": "user", "content": "x"}]) as call:
        assert_type(call, ModelSpan)
        call.usage(input_tokens=1, cost=0.5)
        call.output("x", tools={"t": {"a": 1}})
        call["mine"] = 1
    with span("a", kind="embedding", model="m", provider="p", messages=["x", "y"]) as call:
        call.usage(input_tokens=None)
    with span("a", kind="agent", agent_id="1", agent_framework="own") as agent:
        assert_type(agent, AgentSpan)
    with span("a", kind="tool", arguments={"a": 1}) as tool:
        assert_type(tool, ToolSpan)
        tool.result([1])
    with span("a", kind="retriever", query="?") as search:
        assert_type(search, RetrieverSpan)
        search.documents(["x"], count=3)
    with span("a", kind="planning", steps=["x"]) as plan:
        assert_type(plan, PlanningSpan)
    with span("a", kind="handoff", to_agent="x") as handoff:
        assert_type(handoff, HandoffSpan)
        handoff.to("y", reason="z")
    with span("a", kind="general", metadata={"a": 1}) as step, span("b", kind="chain"):
        assert_type(step, GeneralSpan)
    assert_type(current_span(), GeneralSpan)
    assert_type(current_span("llm"), ModelSpan)
    assert_type(current_span("tool"), ToolSpan)


@span("a", kind="tool")
async def as_decorator(question: str) -> int:
    return len(question)


@span("a", kind="llm", model="m", provider="p")
def as_generator(question: str) -> Iterator[str]:
    yield question


async def decorated_functions_stay_what_they_are() -> None:
    assert_type(await as_decorator("?"), int)
    assert_type(as_generator("?"), Iterator[str])


def wrong_spans() -> None:
    with span("a") as step:
        step.usage(input_tokens=1)  # type: ignore[attr-defined]
    span("a", kind="retreiver")  # type: ignore[call-overload]
    span("a", kind="llm", model="m")  # type: ignore[call-overload]
    span("a", kind="tool", argments=1)  # type: ignore[call-overload]
    with span("a", kind="llm", model="m", provider="p") as call:
        call.usage(inputtokens=1)  # type: ignore[call-arg]
        call.usage(input_tokens="1")  # type: ignore[arg-type]
    current_span("lm")  # type: ignore[call-overload]


def events(event: EventFields) -> None:
    """The names and types of an event's fields are known."""
    capture({"operation": "x", "input_tokens": None, "metadata": {"a": 1}, "planning_steps": ["x"], "status": "error"})
    capture({"input_token": 1})  # type: ignore[typeddict-unknown-key]
    capture({"latency_ms": "1"})  # type: ignore[typeddict-item]
    capture({"span_kind": "retreiver"})  # type: ignore[typeddict-item]
    event["eval_scores"] = {"a": 0.5}
    capture(event)


@zespan_lambda(user_id=lambda event: event["user"], session_id=lambda event: event.get("session"))
def for_users(event: dict[str, Any], context: object) -> int:
    return 1


def readers() -> None:
    zespan_lambda(user_id="ada")  # type: ignore[call-overload]
    zespan_azure(conversation_id=lambda: 1)  # type: ignore[arg-type,misc]
    with with_context(conversation_id="c"):
        pass


@run
def bare_run(lines: list[str]) -> int:
    return len(lines)


@run("digest", environment="batch")
async def configured_run(lines: list[str]) -> str:
    return lines[0]


assert_type(bare_run([""]), int)
with run("block"):
    pass


with task_scope("work", id="1", traceparent={"traceparent": "00-"}, deadline=5, environment="batch") as task:
    assert_type(task, Task)
    task["pages"] = 1
    task.fail("empty", "missing")


@zespan_vercel
class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None: ...


@zespan_vercel(flush_timeout=0.5)
async def application(scope: dict[str, Any], receive: object, send: object) -> None: ...


async def awaited() -> None:
    async with task_scope("work") as awaited_task:
        assert_type(awaited_task, Task)
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
    task_scope("work", max_event=5)  # type: ignore[call-arg]
    zespan_celery(object(), flush_timout=1)  # type: ignore[call-arg]
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


def of_each(report: FlushReport) -> list[str]:
    assert_type(report.destinations, tuple[FlushReport, ...])
    return [one.destination for one in report.destinations]


def alert(dropped: Dropped) -> None:
    assert_type(dropped.destination, str)
    assert_type(dropped.payloads, tuple[bytes, ...])


def annotated(event: Event, settings: Settings) -> Session:
    assert_type(settings.flush_timeout, float)
    run_: Run = run(exporter="console", journal="/var/tmp/events", redact_keys=["pin"], tags={"n": 1})
    with run_:
        zespan_lambda(exporter=Sending(), on_error=alert, api_key=None)
        zespan_lambda(exporter=Mute())  # type: ignore[call-overload]
        zespan_lambda(exporter=["zespan", Sending(), Foreign()])
        zespan_lambda(exporter=("zespan", "console"))
        zespan_lambda(exporter=["zespan", "zipkin"])  # type: ignore[list-item]
        zespan_lambda(exporter=["carbon", CarbonExporter("key", http_client=httpx.Client())])
        zespan_lambda(http_client=httpx2.Client)
        zespan_lambda(http_client=lambda: httpx.Client(http2=True))
        zespan_lambda(http_client="httpx")  # type: ignore[call-overload]
        zespan_lambda(on_flush=alert)  # type: ignore[arg-type]
    return init(exporter=Foreign(), flush_timeout=1)
