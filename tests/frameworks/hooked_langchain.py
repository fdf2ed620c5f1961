"""LangChain and LangGraph with our handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zespan_serverless import span
from zespan_serverless.frameworks import langchain_handler

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    from langchain.agents import create_agent
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    config: Any = {"callbacks": [langchain_handler()]}
    model = ChatOpenAI(model="gpt-5-mini", max_retries=0)

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def weather(city: str) -> str:
        """Return the weather in a city."""
        with span("look up"):
            return f"It is sunny in {city}."

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def storm(city: str) -> str:
        """Return the weather in a city."""
        raise LookupError("no such city")

    @tool  # type: ignore[untyped-decorator,unused-ignore]
    def asks(city: str) -> str:
        """Ask a model."""
        model.invoke("hi")
        with span("inner"), span("innermost"):
            model.invoke("hi")
        return "Sunny."

    class Library(BaseRetriever):  # type: ignore[misc]
        def _get_relevant_documents(self, query: str, **_: Any) -> list[Any]:
            return [Document(page_content="It is sunny.", metadata={"source": "a"})]

    def state() -> Any:
        return {"messages": [{"role": "user", "content": QUESTION}]}

    def run(*tools: Any, name: str = "forecaster") -> Any:
        return create_agent(model, list(tools), name=name).invoke(state(), config)["messages"][-1].text

    async def arun(*tools: Any) -> Any:
        return (await create_agent(model, list(tools), name="forecaster").ainvoke(state(), config))["messages"][-1].text

    async def astream(*tools: Any) -> Any:
        agent = create_agent(model, list(tools), name="forecaster")
        return len([piece async for piece in agent.astream(state(), config, stream_mode="messages")])

    def left() -> Any:
        for piece in create_agent(model, [weather], name="forecaster").stream(state(), config):
            return list(piece)
        return None

    def chain() -> Any:
        found = Library() | RunnableLambda(lambda documents: documents[0].page_content) | model
        return [answer.text for answer in found.batch([QUESTION, QUESTION], config)]

    return {
        "tool": lambda: run(weather),
        "async tool": lambda: arun(weather),
        "streamed tool": lambda: astream(weather),
        "left stream": left,
        "failing tool": lambda: run(storm),
        "calls in a tool": lambda: run(asks),
        "chain": chain,
        "model": lambda: model.invoke(QUESTION, config).text,
    }
