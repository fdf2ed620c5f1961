"""LlamaIndex: both APIs of OpenAI, and an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"
USAGE = {"stream_options": {"include_usage": True}}  # else OpenAI counts no tokens of a streamed chat


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI, OpenAIResponses

    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    models: dict[str, Callable[..., Any]] = {
        "openai": lambda name, **more: OpenAI(
            model=name or "gpt-4o-mini",
            max_retries=0,
            api_base=f"{url}/v1",
            additional_kwargs=more,
        ),
        "openai responses": lambda name, **_: OpenAIResponses(
            model=name or "gpt-4o-mini", max_retries=0, api_base=f"{url}/v1"
        ),
    }

    async def astream(model: Any) -> Any:
        return len([piece async for piece in await model.astream_complete(QUESTION)])

    async def agent(model: Any) -> Any:
        return str(await FunctionAgent(name="forecaster", tools=[weather], llm=model).run(QUESTION))

    async def whole_agent(model: Any) -> Any:
        return str(await FunctionAgent(name="forecaster", tools=[weather], llm=model, streaming=False).run(QUESTION))

    async def text(answer: Any) -> Any:
        return (await answer).text

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} complete": lambda: make("").complete(QUESTION).text,
            f"{kind} acomplete": lambda: text(make("").acomplete(QUESTION)),
            f"{kind} stream": lambda: len(list(make("", **USAGE).stream_complete(QUESTION))),
            f"{kind} astream": lambda: astream(make("", **USAGE)),
            f"{kind} agent": lambda: whole_agent(make("")),
            f"{kind} streamed agent": lambda: agent(make("", **USAGE)),
            f"{kind} fails": lambda: make("").complete("broken"),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    return found
