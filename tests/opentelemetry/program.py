"""What comes of OpenTelemetry beside us, as JSON: scenario -> our events, and OpenTelemetry's spans.

Runs in an environment with OpenTelemetry's SDK and its instrumentation of openai.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import openai
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.providers.openai.conftest import Scripted
from zespan_serverless import span, testing, with_context, zespan_lambda
from zespan_serverless.opentelemetry import SpanProcessor, join_traces

SPANS = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(SPANS))
TRACER = PROVIDER.get_tracer("test")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}])
ANSWER = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "So."}], "finish_reason": "stop"}])
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 2000,
    "gen_ai.input.messages": MESSAGES,
    "gen_ai.output.messages": ANSWER,
    "server.address": "api.openai.com",
}

Body = Callable[[], object]
SCENARIOS: dict[str, Callable[[Body], object]] = {}


def scenario(body: Body) -> Body:
    """Return what a function does in an invocation."""
    SCENARIOS[body.__name__] = lambda run: invoke(body)
    return body


def invoke(body: Body) -> object:
    @zespan_lambda
    def handler(event: Any, context: Any) -> None:
        body()

    return handler({}, testing.LambdaContext())


# ---------------------------------------------------------------------- one trace


def around(_: Body) -> None:
    with TRACER.start_as_current_span("server"):
        invoke(lambda: None)


def around_but_ended(_: Body) -> None:
    with TRACER.start_as_current_span("server", end_on_exit=False) as one:
        one.end()
        invoke(lambda: None)


def around_but_not_sampled(_: Body) -> None:
    nobody = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(nobody)):
        invoke(lambda: None)


SCENARIOS.update({body.__name__: body for body in (around, around_but_ended, around_but_not_sampled)})


@scenario
def nested() -> None:
    with TRACER.start_as_current_span("outer"):
        with span("ours"), TRACER.start_as_current_span("inner"):
            TRACER.start_span("innermost").end()
        with TRACER.start_as_current_span("sibling"), with_context(user_id="ada"):
            TRACER.start_span("for ada").end()


@scenario
def in_tasks() -> None:
    async def work(number: int) -> None:
        with TRACER.start_as_current_span(f"task {number}"):
            await asyncio.sleep(0.01)
            with span(f"step {number}"):
                await asyncio.sleep(0.01)

    async def both() -> None:
        await asyncio.gather(work(1), work(2))

    asyncio.run(both())


@scenario
def in_a_thread() -> None:
    thread = threading.Thread(target=lambda: TRACER.start_span("in a thread").end())
    thread.start()
    thread.join()


@scenario
def left_open() -> None:
    TRACER.start_span("never ends")


# ---------------------------------------------------------------------- what spans become


@scenario
def a_call() -> None:
    with TRACER.start_as_current_span("chat gpt-4o-mini", attributes=CALL):
        pass


@scenario
def a_call_in_older_words() -> None:
    with TRACER.start_as_current_span("openai.chat") as one:
        one.set_attributes({"gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini"})
        one.set_attributes({"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 6})


@scenario
def calls_inside_one_another() -> None:
    with (
        TRACER.start_as_current_span("LangChain", attributes=CALL),
        TRACER.start_as_current_span("SDK", attributes=CALL),
    ):
        pass


@scenario
def steps_of_an_agent() -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster"}
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.arguments": '{"city": "Rome"}',
        "gen_ai.tool.call.result": "sunny",
    }
    with TRACER.start_as_current_span("invoke_agent forecaster", attributes=agent):
        with TRACER.start_as_current_span("execute_tool weather", attributes=tool):
            pass
        with TRACER.start_as_current_span("embeddings", attributes={**CALL, "gen_ai.operation.name": "embeddings"}):
            pass
        with TRACER.start_as_current_span("SELECT", attributes={"db.statement": "SELECT secret", "db.system": "pg"}):
            pass


@scenario
def a_failure() -> None:
    try:
        with TRACER.start_as_current_span("step"):
            raise ValueError("quoted: Why?")
    except ValueError:
        pass


# ---------------------------------------------------------------------- the real instrumentation


def _calls(client: Any, alone: Any) -> None:
    client.chat.completions.create(**ASK)
    for _ in client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}):
        pass

    async def asynchronous() -> None:
        await alone.chat.completions.create(**ASK)

    asyncio.run(asynchronous())


def instrumented(model: Scripted, order: str) -> Any:
    """The events of the same three calls, in either order of patching."""
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    answer = {**Scripted.completion(), "usage": USAGE}
    piece = Scripted.chunk()
    model.replies = [answer, [piece, {**piece, "choices": [], "usage": USAGE}, "[DONE]"], answer]
    options: dict[str, Any] = {"base_url": model.url, "api_key": "sk-none", "max_retries": 0}
    if order == "below":
        with testing.recording():
            openai.OpenAI(**options).close()
    OpenAIInstrumentor().instrument(tracer_provider=PROVIDER)
    with testing.recording() as events:
        invoke(lambda: _calls(openai.OpenAI(**options), openai.AsyncOpenAI(**options)))
    return events


def seen(events: Any) -> dict[str, Any]:
    spans = [
        {
            "name": one.name,
            "trace_id": f"{one.context.trace_id:032x}",
            "span_id": f"{one.context.span_id:016x}",
            "parent": None if one.parent is None else f"{one.parent.span_id:016x}",
        }
        for one in SPANS.get_finished_spans()
    ]
    SPANS.clear()
    return {"events": list(events), "spans": spans, "is_context_empty": not context.get_current()}


def main(mode: str) -> None:
    """`mode`: `alone` (no processor), `fed`, `joined`, or `below` and `above`: ours is patched first, or last."""
    if mode != "alone":
        PROVIDER.add_span_processor(SpanProcessor())
        PROVIDER.add_span_processor(SpanProcessor())  # a second one changes nothing
    found: dict[str, Any] = {}
    if mode in ("below", "above"):
        model = Scripted()
        found[mode] = seen(instrumented(model, mode))
        model.close()
    else:
        if mode == "joined":
            join_traces()
            join_traces()
        for name, body in SCENARIOS.items():
            with testing.recording() as events:
                body(lambda: None)
            found[name] = seen(events)
    print(json.dumps(found, default=str))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
