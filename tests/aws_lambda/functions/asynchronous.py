"""An `async def` handler with a client, and a lock, that belong to one event loop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from openai import AsyncOpenAI

from zespan_serverless import zespan_lambda

client = AsyncOpenAI()
lock = asyncio.Lock()
tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
loops: list[asyncio.AbstractEventLoop] = []


@zespan_lambda
async def handler(event: dict[str, str], context: Any) -> dict[str, Any]:
    loops.append(asyncio.get_running_loop())
    seen = tenant.get()
    tenant.set(event["tenant"])
    messages: Any = [{"role": "user", "content": "hello"}]
    async with lock:
        answers = await asyncio.gather(
            *(client.chat.completions.create(model="gpt-4o-mini", messages=messages) for _ in range(2))
        )
    return {
        "tenant_before": seen,
        "tenant_now": tenant.get(),
        "loops": len(set(map(id, loops))),
        "answers": [answer.choices[0].message.content for answer in answers],
    }
