"""pydantic-ai with models of four providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import boto3
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.bedrock import BedrockProvider
    from pydantic_ai.providers.google import GoogleProvider

    runtime = boto3.client("bedrock-runtime", endpoint_url=url)
    models: dict[str, Callable[[str], Any]] = {
        "openai": lambda name: OpenAIChatModel(name or "gpt-5-mini"),
        "openai responses": lambda name: OpenAIResponsesModel(name or "gpt-5-mini"),
        "anthropic": lambda name: AnthropicModel(
            name or "claude-sonnet-4-5", provider=AnthropicProvider(api_key="k", base_url=url)
        ),
        "bedrock": lambda name: BedrockConverseModel(
            name or "anthropic.claude-3", provider=BedrockProvider(bedrock_client=runtime)
        ),
        "google": lambda name: GoogleModel(
            name or "gemini-2.5-flash", provider=GoogleProvider(api_key="k", base_url=url)
        ),
    }

    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    async def stream(agent: Any) -> Any:
        async with agent.run_stream(QUESTION) as result:
            return await result.get_output()

    async def run(agent: Any) -> Any:
        return (await agent.run(QUESTION)).output

    def run_in_a_thread(agent: Any) -> Any:
        return agent.run_sync(QUESTION).output

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} run": lambda: run(Agent(make(""))),
            f"{kind} run_sync": lambda: run_in_a_thread(Agent(make(""))),
            f"{kind} stream": lambda: stream(Agent(make(""))),
            f"{kind} tool": lambda: run(Agent(make(""), tools=[weather])),
            f"{kind} tool stream": lambda: stream(Agent(make(""), tools=[weather])),
            f"{kind} fails": lambda: run(Agent(make("broken"))),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    return found
