"""A function of Oracle's fdk, for `fdk on_oracle.py sync` or `coroutine`. Its request asks for the outcome."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from fdk import response
from openai import AsyncOpenAI, OpenAI

import zespan_serverless

QUESTION: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
HOW = os.environ.get("HOW", "decorator")
if HOW == "init":
    zespan_serverless.init()
decorate: Any = zespan_serverless.zespan_oracle if HOW == "decorator" else lambda function: function


def answer(ctx: Any, kind: str) -> Any:
    if kind == "fails":
        raise LookupError("mine")
    if kind == "text":
        return "Hello"
    return response.Response(ctx, response_data=json.dumps({"kind": kind}), status_code=503 if kind == "503" else 200)


@decorate  # type: ignore[untyped-decorator, unused-ignore]
def sync(ctx: Any, data: Any = None) -> Any:
    with OpenAI(max_retries=0) as client:
        client.chat.completions.create(**QUESTION)
    return answer(ctx, json.load(data)["kind"])


@decorate  # type: ignore[untyped-decorator, unused-ignore]
async def coroutine(ctx: Any, data: Any = None) -> Any:
    async with AsyncOpenAI(max_retries=0) as client:
        await client.chat.completions.create(**QUESTION)
    await asyncio.sleep(0)
    return answer(ctx, json.load(data)["kind"])
