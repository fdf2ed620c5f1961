"""A Flask application that Zappa deploys, traced."""

from __future__ import annotations

from flask import Flask, request
from openai import OpenAI

from zespan_serverless.wsgi import ZespanMiddleware

app = Flask(__name__)
app.wsgi_app = ZespanMiddleware(app.wsgi_app)  # type: ignore[method-assign]
client = OpenAI(timeout=12, max_retries=1)  # both attempts end within timeout_seconds


@app.post("/ask")
def ask() -> dict[str, str | None]:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": request.get_json()["prompt"]}]
    )
    return {"answer": answer.choices[0].message.content}
