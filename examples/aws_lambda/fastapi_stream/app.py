"""A FastAPI application under Mangum that answers with an OpenAI stream."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from mangum import Mangum
from openai import AsyncOpenAI
from pydantic import BaseModel

from zespan_serverless import zespan_lambda

app = FastAPI()
# Both attempts end within a function's timeout of 30 s. One client per container: Mangum runs every call on the same
# event loop, so connections are kept.
client = AsyncOpenAI(timeout=12, max_retries=1)


class Question(BaseModel):
    prompt: str


@app.post("/ask")
async def ask(question: Question) -> StreamingResponse:
    chunks = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": question.prompt}],
        stream=True,
        stream_options={"include_usage": True},  # otherwise OpenAI does not count a stream's tokens
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


# With a lifespan, Mangum would run startup and shutdown at every call; code that runs once per container is above.
# Mangum returns the answer as a whole. Behind the Lambda Web Adapter, without Mangum, the answer is streamed.
handler = zespan_lambda(Mangum(app, lifespan="off"))
