"""An answer that is streamed while the model writes it."""

from collections.abc import AsyncIterator

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, StreamingResponse
from openai import AsyncOpenAI

from zespan_serverless import zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
client = AsyncOpenAI()


@app.route(route="stream")
@zespan_azure
async def stream(req: Request) -> StreamingResponse:
    """/api/stream?prompt=..."""
    return StreamingResponse(answer(req.query_params.get("prompt", "Hello")), media_type="text/plain")


async def answer(prompt: str) -> AsyncIterator[str]:
    """Runs after the function has returned, but belongs to its trace."""
    chunks = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in chunks:
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""
