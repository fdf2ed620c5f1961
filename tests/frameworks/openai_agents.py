"""The OpenAI Agents SDK: with both APIs of OpenAI, streamed, from a thread's loop, and a handoff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import agents
    from agents import Agent, ModelSettings, Runner, function_tool
    from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
    from agents.models.openai_responses import OpenAIResponsesModel
    from openai import AsyncOpenAI

    agents.set_tracing_export_api_key("k")
    agents.set_trace_processors([])  # the SDK's own sends to api.openai.com

    @function_tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    client = AsyncOpenAI(max_retries=0)

    def agent(api: str, name: str = "gpt-5-mini", **more: Any) -> Any:
        kind = OpenAIResponsesModel if api == "responses" else OpenAIChatCompletionsModel
        return Agent(name="forecaster", model=kind(name, client), **more)

    async def run(of: Any) -> Any:
        return (await Runner.run(of, QUESTION)).final_output

    async def stream(of: Any) -> Any:
        result = Runner.run_streamed(of, QUESTION)
        kinds = [event.type async for event in result.stream_events()]
        return result.final_output, len(kinds)

    async def handoff(api: str) -> Any:
        expert = agent(api)
        first = Agent(name="front desk", model=expert.model, handoffs=[expert])
        return (await Runner.run(first, QUESTION)).last_agent.name

    more = {"model_settings": ModelSettings(include_usage=True)}  # else OpenAI counts no tokens of a streamed chat

    def calls(api: str) -> dict[str, Callable[[], Any]]:
        return {
            f"{api} run": lambda: run(agent(api)),
            f"{api} run_sync": lambda: Runner.run_sync(agent(api), QUESTION).final_output,
            f"{api} stream": lambda: stream(agent(api, **more)),
            f"{api} tool": lambda: run(agent(api, tools=[weather])),
            f"{api} tool stream": lambda: stream(agent(api, tools=[weather], **more)),
            f"{api} handoff": lambda: handoff(api),
            f"{api} fails": lambda: run(agent(api, "broken")),
        }

    found: dict[str, Callable[[], Any]] = {}
    for api in ("responses", "chat"):
        found |= calls(api)
    return found
