"""A Python Worker that asks a model, as a stream, and does the same for the messages of a queue."""

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
        self.ctx.waitUntil(self._answer(question, pair.writable.getWriter()))
        return Response(pair.readable, headers={"content-type": "text/event-stream"})

    async def queue(self, batch: Any, env: Any, ctx: Any) -> None:
        for message in batch.messages:
            await self._client().responses.create(model="gpt-4o", input=str(message.body))

    async def _answer(self, question: Any, writer: Any) -> None:
        encode = js.TextEncoder.new().encode
        with with_context(user_id=question.get("user")):
            stream = await self._client().chat.completions.create(
                model="gpt-4o", stream=True, messages=[{"role": "user", "content": question["prompt"]}]
            )
            async for chunk in stream:
                if chunk.choices:
                    await writer.write(encode(f"data: {chunk.choices[0].delta.content or ''}\n\n"))
        await writer.close()

    def _client(self) -> AsyncOpenAI:
        return AsyncOpenAI(api_key=self.env.OPENAI_API_KEY)
