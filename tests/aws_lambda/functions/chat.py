"""A handler that asks a model, the usual way."""

from __future__ import annotations

from typing import Any

from openai import OpenAI

from zespan_serverless import zespan_lambda

client = OpenAI()


@zespan_lambda
def handler(event: Any, context: Any) -> str | None:
    messages: Any = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content
