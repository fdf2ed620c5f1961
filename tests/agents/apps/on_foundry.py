"""A Foundry hosted agent that speaks both protocols. What a handler does is asked for in the request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from azure.ai.agentserver.invocations import InvocationAgentServerHost
from azure.ai.agentserver.responses import ResponsesAgentServerHost, TextResponse
from openai import AsyncOpenAI
from starlette.responses import JSONResponse, StreamingResponse

import zespan_serverless
from zespan_serverless.asgi import ZespanMiddleware

AgentHost: Any = type("AgentHost", (InvocationAgentServerHost, ResponsesAgentServerHost), {})

app = AgentHost(configure_observability=None, access_log=None)
HOW = os.environ.get("HOW", "middleware")
if HOW == "middleware":
    app.add_middleware(ZespanMiddleware)
elif HOW == "init":
    zespan_serverless.init()


async def ask() -> None:
    async with AsyncOpenAI(max_retries=0) as client:
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


@app.invoke_handler  # type: ignore[untyped-decorator, unused-ignore]
async def invoke(request: Any) -> Any:
    kind = (await request.json())["kind"]
    await ask()
    if kind == "fails":
        raise LookupError("mine")
    if kind == "json":
        return JSONResponse({"session": request.state.session_id})

    async def body() -> AsyncIterator[str]:
        yield "data: 0\n\n"
        await asyncio.sleep(0)
        if kind == "stream_fails":
            raise LookupError("mine")
        await ask()
        yield "data: 1\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


@app.response_handler  # type: ignore[untyped-decorator, unused-ignore]
async def respond(request: Any, context: Any, cancellation_signal: Any) -> Any:
    await ask()
    return TextResponse(context, request, text="Hello")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
