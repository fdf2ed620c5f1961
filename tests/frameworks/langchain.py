"""LangChain and LangGraph: chat models of four providers, batches in threads, and an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"
BAD = "broken"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    from langchain.agents import create_agent
    from langchain_anthropic import ChatAnthropic
    from langchain_aws import ChatBedrockConverse
    from langchain_core.tools import tool
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    models: dict[str, Callable[[str], Any]] = {
        "openai": lambda name: ChatOpenAI(model=name or "gpt-5-mini", stream_usage=True, max_retries=0),
        "openai responses": lambda name: ChatOpenAI(model=name or "gpt-5-mini", use_responses_api=True, max_retries=0),
        "anthropic": lambda name: ChatAnthropic(model=name or "claude-sonnet-4-5", base_url=url, max_retries=0),
        "bedrock": lambda name: ChatBedrockConverse(
            model=name or "anthropic.claude-3", provider="anthropic", endpoint_url=url
        ),
        "google": lambda name: ChatGoogleGenerativeAI(
            model=name or "gemini-2.5-flash", base_url=url, max_retries=1, client_options={"api_endpoint": url}
        ),
    }

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} invoke": lambda: make("").invoke(QUESTION).text,
            f"{kind} ainvoke": lambda: _text(make("").ainvoke(QUESTION)),
            f"{kind} stream": lambda: "".join(chunk.text for chunk in make("").stream(QUESTION)),
            f"{kind} astream": lambda: _astream(make("")),
            f"{kind} batch": lambda: [answer.text for answer in make("").batch([QUESTION, QUESTION])],
            f"{kind} fails": lambda: make(BAD).invoke(QUESTION),
            f"{kind} afails": lambda: make(BAD).ainvoke(QUESTION),
            f"{kind} agent": lambda: _last(create_agent(make(""), [weather]).invoke(_ask())),
            f"{kind} async agent": lambda: _alast(create_agent(make(""), [weather])),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    found["openai agent stream"] = lambda: len(
        list(create_agent(models["openai"](""), [weather]).stream(_ask(), stream_mode="messages"))
    )
    found["openai embeddings"] = lambda: OpenAIEmbeddings(check_embedding_ctx_length=False).embed_query("hi")
    return found


def _ask() -> Any:
    return {"messages": [{"role": "user", "content": QUESTION}]}


def _last(state: Any) -> Any:
    return state["messages"][-1].text


async def _text(answer: Any) -> Any:
    return (await answer).text


async def _alast(agent: Any) -> Any:
    return _last(await agent.ainvoke(_ask()))


async def _astream(model: Any) -> str:
    return "".join([chunk.text async for chunk in model.astream(QUESTION)])
