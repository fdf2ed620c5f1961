"""CrewAI: its own clients for OpenAI, Anthropic and Bedrock, and a crew."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"
BROKEN = {"openai": "gpt-4o-broken", "anthropic": "claude-sonnet-4-5-broken"}
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    models: dict[str, Callable[[str], Any]] = {
        "openai": lambda name: LLM(model=f"openai/{name or 'gpt-4o-mini'}", base_url=f"{url}/v1", max_retries=0),
        "anthropic": lambda name: LLM(model=f"anthropic/{name or 'claude-sonnet-4-5'}", base_url=url, max_retries=0),
    }

    def crew(model: Any, *tools: Any) -> Any:
        agent = Agent(role="forecaster", goal="g", backstory="b", llm=model, tools=list(tools), max_retry_limit=0)
        task = Task(description=QUESTION, expected_output="a text", agent=agent)
        return Crew(agents=[agent], tasks=[task], verbose=False)

    async def kickoff(of: Any) -> Any:
        return str(await of.kickoff_async())

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} call": lambda: make("").call(QUESTION),
            f"{kind} crew": lambda: str(crew(make("")).kickoff()),
            f"{kind} async crew": lambda: kickoff(crew(make(""))),
            f"{kind} tool": lambda: str(crew(make(""), weather).kickoff()),
            f"{kind} fails": lambda: crew(make(BROKEN[kind])).kickoff(),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    return found
