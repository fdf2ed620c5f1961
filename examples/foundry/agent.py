"""An agent that speaks Foundry's invocations protocol, and streams its answer: `python agent.py`."""

from collections.abc import AsyncIterator
from typing import Any

from azure.ai.agentserver.invocations import InvocationAgentServerHost
from openai import AsyncOpenAI
from starlette.requests import Request
from starlette.responses import StreamingResponse

from zespan_serverless.asgi import ZespanMiddleware

app = InvocationAgentServerHost()
app.add_middleware(ZespanMiddleware, environment="staging")


@app.invoke_handler  # type: ignore[untyped-decorator, unused-ignore]
async def agent(request: Request) -> StreamingResponse:
    question: Any = {"role": "user", "content": (await request.json())["prompt"]}

    async def words() -> AsyncIterator[str]:
        async with AsyncOpenAI() as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[question], stream=True, stream_options={"include_usage": True}
            )
            async for chunk in stream:
                if chunk.choices:
                    yield f"data: {chunk.choices[0].delta.content or ''}\n\n"

    return StreamingResponse(words(), media_type="text/event-stream")


if __name__ == "__main__":
    app.run()
