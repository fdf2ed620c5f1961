"""AgentCore applications, one for each of KINDS, below its name: `/sync/invocations`. HOW is what traces them."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from bedrock_agentcore import BedrockAgentCoreApp
from openai import AsyncOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount

import zespan_serverless
from zespan_serverless import zespan_agentcore
from zespan_serverless.asgi import ZespanMiddleware

KINDS, HOW = os.environ["KINDS"].split(","), os.environ.get("HOW", "decorator")
ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}

if HOW == "init":
    zespan_serverless.init()


def ask() -> None:
    OpenAI(max_retries=0).chat.completions.create(**ASK)


async def ask_async() -> None:
    async with AsyncOpenAI(max_retries=0) as client:
        await client.chat.completions.create(**ASK)


def sync(payload: Any, context: Any) -> Any:
    ask()
    return {"session": context.session_id, "thread": threading.current_thread().name}


def without_context(payload: Any) -> Any:
    ask()
    return payload


async def coroutine(payload: Any, context: Any) -> Any:
    await ask_async()
    return {"session": context.session_id, "thread": threading.current_thread().name}


def generator(payload: Any) -> Iterator[Any]:
    ask()
    yield {"piece": 0}
    ask()
    yield {"piece": 1}


async def async_generator(payload: Any, context: Any) -> AsyncIterator[Any]:
    await ask_async()
    yield {"piece": 0}
    await ask_async()
    yield {"piece": 1}


def returned_generator(payload: Any) -> Any:
    return generator(payload)


async def returned_async_generator(payload: Any, context: Any) -> Any:
    return async_generator(payload, context)


async def response(payload: Any) -> Any:
    async def body() -> AsyncIterator[str]:
        await ask_async()
        yield "data: 0\n\n"
        await ask_async()
        yield "data: 1\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


async def refused(payload: Any) -> Any:
    await ask_async()
    return JSONResponse({"error": "no"}, status_code=404)


def raised_response(payload: Any) -> Any:
    ask()
    raise HTTPException(403, "not you")


def fails(payload: Any) -> Any:
    ask()
    raise LookupError("mine")


async def stream_fails(payload: Any) -> AsyncIterator[Any]:
    await ask_async()
    yield {"piece": 0}
    raise LookupError("mine")


async def endless(payload: Any) -> AsyncIterator[Any]:
    await ask_async()
    while True:
        yield {"piece": 0}
        await asyncio.sleep(0.02)


def collect(payload: Any) -> Any:
    """Closes the generators that the runtime has dropped."""
    return gc.collect()


async def task(payload: Any) -> Any:
    """Leaves work to a task that outlasts the response."""

    app = apps["task"]

    async def work(number: int) -> None:
        await asyncio.sleep(0.1)
        await ask_async()
        app.complete_async_task(number)

    await ask_async()
    asyncio.create_task(work(app.add_async_task("later")))  # noqa: RUF006
    return "begun"


def strands(payload: Any, context: Any) -> Any:
    from strands import Agent, tool
    from strands.models.openai import OpenAIModel

    @tool  # type: ignore[untyped-decorator, unused-ignore]
    def weather(city: str) -> str:
        """Weather of a city."""
        return f"fine in {city}"

    model = OpenAIModel(client_args={"max_retries": 0}, model_id="gpt-4o")
    return str(Agent(model=model, tools=[weather], callback_handler=None)(payload["prompt"]))


async def openai_agents(payload: Any, context: Any) -> Any:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled

    set_tracing_disabled(True)
    model = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=AsyncOpenAI(max_retries=0))
    return (await Runner.run(Agent(name="helper", model=model), payload["prompt"])).final_output


async def langgraph(payload: Any, context: Any) -> AsyncIterator[Any]:
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph

    model = ChatOpenAI(model="gpt-4o", max_retries=0)

    async def call(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("call", call)
    graph.add_edge(START, "call")
    graph.add_edge("call", END)
    async for update in graph.compile().astream({"messages": [("user", payload["prompt"])]}):
        yield list(update)


async def websocket(websocket: Any, context: Any) -> None:
    await websocket.accept()
    async for _ in websocket.iter_text():
        await ask_async()
        await websocket.send_text("asked")


async def endless_websocket(websocket: Any, context: Any) -> None:
    await websocket.accept()
    while True:  # until WebSocketDisconnect
        await websocket.receive_text()
        await ask_async()
        await websocket.send_text("asked")


def application(kind: str) -> BedrockAgentCoreApp:
    app = BedrockAgentCoreApp(middleware=[Middleware(ZespanMiddleware)] if HOW == "middleware" else None)
    function: Any = globals()[kind]
    if kind.endswith("websocket"):
        app.websocket(zespan_agentcore(function))
    elif HOW == "above":
        zespan_agentcore(app.entrypoint(function))
    elif HOW == "decorator":
        app.entrypoint(zespan_agentcore(function))
    else:
        app.entrypoint(function)
    return app


apps = {kind: application(kind) for kind in KINDS}

if __name__ == "__main__":
    port = int(os.environ["PORT"])
    if len(apps) == 1:
        apps[KINDS[0]].run(port=port)
    else:
        routes = [Mount(f"/{kind}", app) for kind, app in apps.items()]
        uvicorn.run(Starlette(routes=routes), port=port, log_level="warning")
