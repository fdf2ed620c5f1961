"""A Python Worker that asks a model, as a stream, and does so by itself every morning."""

import asyncio
from typing import Any

import js
from openai import AsyncOpenAI
from workers import Response, WorkerEntrypoint

from zespan_serverless import with_context, zespan_cloudflare


@zespan_cloudflare
class Default(WorkerEntrypoint):
    async def fetch(self, request: Any) -> Any:
        question = await request.json()
        pair = js.TransformStream.new()
        answering = self._answer(question, pair.writable.getWriter())
        self.ctx.waitUntil(asyncio.create_task(answering))  # a task: a coroutine would begin outside the trace
        return Response(pair.readable, headers={"content-type": "text/event-stream"})

    async def scheduled(self, controller: Any, env: Any, ctx: Any) -> None:
        await self._client().chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "What should today's readers know?"}]
        )

    async def _answer(self, question: Any, writer: Any) -> None:
        encode = js.TextEncoder.new().encode
        with with_context(user_id=question.get("user")):
            stream = await self._client().chat.completions.create(
                model="gpt-4o",
                stream=True,
                stream_options={"include_usage": True},
                messages=[{"role": "user", "content": question["prompt"]}],
            )
            async for chunk in stream:
                if chunk.choices:
                    await writer.write(encode(f"data: {chunk.choices[0].delta.content or ''}\n\n"))
        await writer.close()

    def _client(self) -> AsyncOpenAI:
        base_url = getattr(self.env, "OPENAI_BASE_URL", None)
        return AsyncOpenAI(api_key=self.env.OPENAI_API_KEY, base_url=base_url)
