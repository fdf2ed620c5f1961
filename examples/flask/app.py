"""A chat, whole or streamed: `gunicorn app:app --threads 16`."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, request
from openai import OpenAI

from zespan_serverless import with_context
from zespan_serverless.wsgi import ZespanMiddleware

app = Flask(__name__)
app.wsgi_app = ZespanMiddleware(app.wsgi_app, environment="staging")  # type: ignore[method-assign]
client = OpenAI()


@app.post("/ask")
def ask() -> dict[str, str | None]:
    question = request.get_json()
    with with_context(user_id=question.get("user", "anonymous")):
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": question["prompt"]}]
        )
    return {"answer": answer.choices[0].message.content}


@app.post("/stream")
def stream() -> Response:
    prompt = request.get_json()["prompt"]

    def words() -> Iterator[str]:
        for chunk in client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        ):
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return Response(words(), mimetype="text/plain")
