"""A FastAPI application with a model, as a Vercel Function."""

from fastapi import FastAPI
from openai import AsyncOpenAI
from pydantic import BaseModel

from zespan_serverless import with_context, zespan_vercel

app = FastAPI()
client = AsyncOpenAI()


class Question(BaseModel):
    prompt: str
    user: str | None = None


@app.post("/api/ask")
async def ask(question: Question) -> dict[str, str | None]:
    with with_context(user_id=question.user):
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": question.prompt}]
        )
    return {"answer": answer.choices[0].message.content}


app = zespan_vercel(app)  # last, around all other middleware
