"""An agent that streams its answer, and remembers what it was asked: `python agent.py`."""

from collections.abc import AsyncIterator
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp
from openai import AsyncOpenAI

from zespan_serverless import span, zespan_agentcore

app = BedrockAgentCoreApp()
asked: list[str] = []


@app.entrypoint  # type: ignore[untyped-decorator, unused-ignore]
@zespan_agentcore(environment="staging", user_id=lambda payload: payload.get("user"))
async def agent(payload: dict[str, Any], context: Any) -> AsyncIterator[str]:
    question: Any = {"role": "user", "content": payload["prompt"]}
    async with AsyncOpenAI() as client:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=[question], stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""
    with span("remember"):
        asked.append(payload["prompt"])


if __name__ == "__main__":
    app.run()
