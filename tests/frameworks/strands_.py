"""Strands Agents with Bedrock, OpenAI, Anthropic and LiteLLM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    from strands import Agent, tool
    from strands.models import BedrockModel
    from strands.models.anthropic import AnthropicModel
    from strands.models.openai import OpenAIModel

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city.

        Args:
            city: its name
        """
        return f"It is sunny in {city}."

    models: dict[str, Callable[[str], Any]] = {
        "bedrock": lambda name: BedrockModel(model_id=name or "anthropic.claude-3", endpoint_url=url),
        "bedrock whole": lambda name: BedrockModel(
            model_id=name or "anthropic.claude-3", endpoint_url=url, streaming=False
        ),
        "openai": lambda name: OpenAIModel(model_id=name or "gpt-5-mini", client_args={"max_retries": 0}),
        "anthropic": lambda name: AnthropicModel(
            model_id=name or "claude", max_tokens=9, client_args={"base_url": url, "max_retries": 0}
        ),
    }

    def agent(model: Any, *tools: Any) -> Any:
        return Agent(model=model, tools=list(tools), callback_handler=None, name="forecaster")

    async def run(of: Any) -> Any:
        return str(await of.invoke_async(QUESTION))

    async def stream(of: Any) -> Any:
        return len([event async for event in of.stream_async(QUESTION)])

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} call": lambda: str(agent(make(""))(QUESTION)),
            f"{kind} invoke_async": lambda: run(agent(make(""))),
            f"{kind} tool": lambda: str(agent(make(""), weather)(QUESTION)),
            f"{kind} tool stream": lambda: stream(agent(make(""), weather)),
            f"{kind} fails": lambda: agent(make("broken"))(QUESTION),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    return found
