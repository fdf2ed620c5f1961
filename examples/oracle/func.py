"""A function for `fdk func.py handler` that answers a question, for the user who asks."""

import json
from io import BytesIO
from typing import Any

from fdk import response
from openai import AsyncOpenAI

from zespan_serverless import span, with_context, zespan_oracle


@zespan_oracle(environment="staging")
async def handler(ctx: Any, data: BytesIO) -> Any:
    asked = json.load(data)
    with with_context(user_id=asked.get("user")):
        with span("look up", kind="retriever") as search:
            search.documents(["Functions run in containers that are paused between two calls."])
        async with AsyncOpenAI() as client:
            question: Any = {"role": "user", "content": asked["prompt"]}
            answer = await client.chat.completions.create(model="gpt-4o", messages=[question])
    body = json.dumps({"answer": answer.choices[0].message.content})
    return response.Response(ctx, response_data=body, headers={"content-type": "application/json"})
