"""An ADK agent whose model is reached by the openai package, because Gemini needs the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.adk.agents import Agent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from openai import AsyncOpenAI


class OpenAILlm(BaseLlm):  # type: ignore[misc, unused-ignore]
    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncIterator[Any]:
        text = llm_request.contents[-1].parts[-1].text or ""
        async with AsyncOpenAI(max_retries=0) as client:
            question: Any = {"role": "user", "content": text}
            answer = await client.chat.completions.create(model="gpt-4o", messages=[question])
        if text == "fails":
            raise LookupError("mine")
        if text == "hangs":
            await asyncio.sleep(60)
        yield LlmResponse(
            content=types.Content(role="model", parts=[types.Part(text=answer.choices[0].message.content)])
        )


root_agent = Agent(name="demo", model=OpenAILlm(model="gpt-4o"), instruction="Be brief.")
