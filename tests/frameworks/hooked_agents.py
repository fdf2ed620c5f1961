"""The OpenAI Agents SDK with our processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from zespan_serverless import span
from zespan_serverless.frameworks import agents_processor

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import agents
    from agents import Agent, Runner, function_tool
    from agents.models.openai_responses import OpenAIResponsesModel
    from openai import AsyncOpenAI

    agents.set_trace_processors([])  # the SDK's own sends to api.openai.com
    agents.add_trace_processor(agents_processor())

    @function_tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city."""
        with span("look up"):
            return f"It is sunny in {city}."

    @function_tool(failure_error_function=None)  # type: ignore[untyped-decorator,unused-ignore]
    def storm(city: str) -> str:
        """Return the weather in a city."""
        raise LookupError("no such city")

    client = AsyncOpenAI(max_retries=0)
    model = OpenAIResponsesModel("gpt-5-mini", client)

    @function_tool  # type: ignore[untyped-decorator,unused-ignore]
    async def asks(city: str) -> str:
        """Ask a model."""
        await client.responses.create(model="gpt-5-mini", input="hi")
        with span("inner"), span("innermost"):
            await client.responses.create(model="gpt-5-mini", input="hi")
        return "Sunny."

    def agent(name: str, *tools: Any, **more: Any) -> Any:
        return Agent(name=name, model=model, tools=list(tools), **more)

    async def run(of: Any) -> Any:
        return (await Runner.run(of, QUESTION)).final_output

    async def several() -> Any:
        return await asyncio.gather(run(agent("one", weather)), run(agent("two", weather)))

    async def unfinished() -> Any:
        task = asyncio.create_task(run(agent("slow", waits)))
        await begun.wait()
        return task

    begun = asyncio.Event()

    @function_tool  # type: ignore[untyped-decorator,unused-ignore]
    async def waits(city: str) -> str:
        """Wait."""
        begun.set()
        await asyncio.sleep(60)
        return ""

    return {
        "tool": lambda: run(agent("forecaster", weather)),
        "sync": lambda: Runner.run_sync(agent("forecaster", weather), QUESTION).final_output,
        "handoff": lambda: run(agent("front desk", handoffs=[agent("forecaster")])),
        "failing tool": lambda: run(agent("forecaster", storm)),
        "calls in a tool": lambda: run(agent("forecaster", asks)),
        "several": several,
        "unfinished": unfinished,
    }
