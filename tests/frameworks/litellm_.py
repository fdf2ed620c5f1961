"""LiteLLM: what passes through openai's SDK, and what LiteLLM sends by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MESSAGES = [{"role": "user", "content": "What is the weather in Bern?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import litellm

    litellm.telemetry = False
    models: dict[str, dict[str, Any]] = {
        "openai": {"model": "openai/gpt-5-mini"},
        "anthropic": {"model": "anthropic/claude-sonnet-4-5", "api_base": url},
        "bedrock": {"model": "bedrock/converse/anthropic.claude-3-5-sonnet-20240620-v1:0", "api_base": url},
        "gemini": {"model": "gemini/gemini-2.5-flash", "api_base": url},
        "groq": {"model": "groq/llama", "api_base": f"{url}/v1", "api_key": "k"},
        "mistral": {"model": "mistral/mistral-large", "api_base": f"{url}/v1", "api_key": "k"},
    }

    def ask(**more: Any) -> dict[str, Any]:
        return {"messages": MESSAGES, "num_retries": 0, "max_retries": 0, "max_tokens": 9, **more}

    def broken(kind: str) -> dict[str, Any]:
        given = models[kind]
        prefix = given["model"].rpartition("/")[0]
        return {**given, "model": f"{prefix}/broken"}

    def text(answer: Any) -> Any:
        message = answer.choices[0].message
        return message.content or message.tool_calls[0].function.name

    async def atext(answer: Any) -> Any:
        return text(await answer)

    async def astream(stream: Any) -> Any:
        return "".join([_text_of(chunk) async for chunk in await stream])

    def stream(chunks: Any) -> Any:
        return "".join([_text_of(chunk) for chunk in chunks])

    more = {"stream": True, "stream_options": {"include_usage": True}}

    def calls(kind: str, given: dict[str, Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} completion": lambda: text(litellm.completion(**ask(**given))),
            f"{kind} acompletion": lambda: atext(litellm.acompletion(**ask(**given))),
            f"{kind} tool": lambda: text(litellm.completion(**ask(**given, tools=[TOOL]))),
            f"{kind} stream": lambda: stream(litellm.completion(**ask(**given, **more))),
            f"{kind} astream": lambda: astream(litellm.acompletion(**ask(**given, **more))),
            f"{kind} fails": lambda: litellm.completion(**ask(**broken(kind))),
            f"{kind} afails": lambda: litellm.acompletion(**ask(**broken(kind))),
            f"{kind} stream fails": lambda: stream(litellm.completion(**ask(**broken(kind), **more))),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, given in models.items():
        found |= calls(kind, given)

    def router(name: str) -> Any:
        deployment = {"model_name": "any", "litellm_params": models[name]}
        return text(litellm.Router(model_list=[deployment], num_retries=0).completion("any", MESSAGES))

    def kept(kind: str) -> Any:
        """Return a stream that is still open when the invocation ends."""
        chunks = litellm.completion(**ask(**models[kind], **more))
        assert isinstance(chunks, litellm.CustomStreamWrapper)
        open_streams.append(chunks)
        return next(chunks)

    async def aresponses() -> Any:
        stream = await litellm.aresponses(model="openai/gpt-5-mini", input="hi", stream=True)
        return len([event async for event in stream])

    open_streams: list[Any] = []
    found["openai router"] = lambda: router("openai")
    found["anthropic router"] = lambda: router("anthropic")
    found["anthropic kept stream"] = lambda: kept("anthropic")
    found["openai responses stream"] = lambda: len(
        list(litellm.responses(model="openai/gpt-5-mini", input="hi", stream=True))
    )
    found["openai aresponses stream"] = aresponses
    found["openai responses"] = lambda: litellm.responses(model="openai/gpt-5-mini", input="hi").output[0].type
    found["openai embedding"] = lambda: litellm.embedding(model="openai/text-embedding-3-small", input=["hi"]).model
    return found


def _text_of(chunk: Any) -> str:
    return chunk.choices[0].delta.content or "" if chunk.choices else ""
