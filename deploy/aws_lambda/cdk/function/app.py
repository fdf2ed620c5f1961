"""Answers a prompt with a model."""

from typing import Any

from openai import OpenAI

from zespan_serverless import zespan_lambda

client = OpenAI(timeout=12, max_retries=1)  # both attempts end within the function's timeout of 30 s


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": event.get("prompt", "Hello!")}]
    )
    return {"answer": answer.choices[0].message.content}
