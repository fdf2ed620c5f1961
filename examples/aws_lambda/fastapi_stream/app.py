"""A FastAPI application under Mangum, that answers with what an OpenAI stream brings."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from mangum import Mangum
from openai import AsyncOpenAI
from pydantic import BaseModel

from zespan_serverless import zespan_lambda

app = FastAPI()
# Both attempts at an answer end within a function's timeout of 30 s. One per container: Mangum runs every call on the
# same event loop, so that connections are kept.
client = AsyncOpenAI(timeout=12, max_retries=1)


class Question(BaseModel):
    prompt: str


@app.post("/ask")
async def ask(question: Question) -> StreamingResponse:
    chunks = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": question.prompt}],
        stream=True,
        stream_options={"include_usage": True},  # without it OpenAI does not count a stream's tokens
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


# Mangum would run the application's startup and shutdown at every call: what is to happen once per container stands
# above. It also keeps the answer until it is whole; behind the Lambda Web Adapter, without Mangum, it is streamed.
handler = zespan_lambda(Mangum(app, lifespan="off"))
