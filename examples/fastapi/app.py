"""A chat that streams its answer, and logs the question afterwards: `uvicorn app:app`."""

from collections.abc import AsyncIterator

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from zespan_serverless import span, with_context
from zespan_serverless.asgi import ZespanMiddleware

app = FastAPI()
app.add_middleware(ZespanMiddleware, environment="staging")
client = AsyncOpenAI()


class Question(BaseModel):
    prompt: str
    user: str = "anonymous"


@app.post("/ask")
async def ask(question: Question, background: BackgroundTasks) -> StreamingResponse:
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": question.prompt}],
        stream=True,
        stream_options={"include_usage": True},
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    background.add_task(note, question)
    return StreamingResponse(words(), media_type="text/plain")


def note(question: Question) -> None:
    """Runs after the response, but belongs to its trace."""
    with with_context(user_id=question.user), span("note", kind="tool"):
        print(f"{question.user} has asked", flush=True)
