"""A Lambda function that asks a model. The decorator is all that its traces need to arrive."""

import json
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from zespan_serverless import zespan_lambda

client = OpenAI()  # one per container; OPENAI_API_KEY and OPENAI_BASE_URL come from the environment


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = json.loads(event["body"]) if "body" in event else event  # behind an HTTP API, or invoked directly
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": request["prompt"]}]
    if request.get("stream"):
        chunks = client.chat.completions.create(
            model="gpt-4o",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},  # without it OpenAI does not count a stream's tokens
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    else:
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        text = answer.choices[0].message.content or ""
    return {"statusCode": 200, "body": text}
