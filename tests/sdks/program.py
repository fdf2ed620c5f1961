"""Calls every provider that the SDK `zespan` patches: `python -m tests.sdks.program ORDER WHAT`.

Prints as JSON, for each call, who has made its events. `ORDER` is what is started first, `WHAT` whose calls are made.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import sys
from contextlib import suppress
from typing import Any

import zespan_serverless
from tests.providers.endpoint import serving
from zespan_serverless import testing


def _start(order: str, url: str) -> None:
    from importlib import import_module

    patches: Any = import_module("zespan")

    def sdk(**given: Any) -> None:
        patches.init(api_key="k", endpoint=f"{url}/v1/ingest", autopatch=False)
        for name in ("anthropic", "bedrock", "cohere", "google_genai", "groq", "litellm", "mistral", "openai"):
            with suppress(AttributeError):  # it knows no other mistralai than version 1
                getattr(patches, f"patch_{name}")(**given)

    steps: dict[str, Any] = {
        "sdk": sdk,
        "guards": lambda: sdk(guardrails={"pre": True}),
        "ours": lambda: zespan_serverless.init(api_key="k", base_url=url),
    }
    for step in order.split():
        steps[step]()


async def _apis(backend: testing.Backend) -> dict[str, list[str]]:
    from tests.providers.apis import APIS
    from tests.providers.user import close, use

    seen: dict[str, list[str]] = {}
    for api in APIS.values():
        for what in ("ask", *(("read", "leave") if api.stream else ())):
            with serving(api.reply) as endpoint:
                results: list[str] = []
                client = api.connect(endpoint.url, False)
                await use(client, api, what, results, False)
                await close(client)
                del client
            assert not results or not results[-1].startswith("raised"), results
            seen[f"{api.name} {what}"] = _arrived(backend)
    return seen


async def _calls(backend: testing.Backend, what: str) -> dict[str, list[str]]:
    from tests.frameworks import model

    seen: dict[str, list[str]] = {}
    with serving(model.reply) as endpoint:
        calls = {"mistral": _mistral, "litellm": _litellm}[what](endpoint.url)
        for name, call in calls.items():
            result = call()
            if inspect.iscoroutine(result):
                result = await result
            if "async" in name and "stream" in name:  # LiteLLM's streams are of both kinds
                [_ async for _ in result]
            elif "stream" in name:
                list(result)
            del result
            seen[name] = _arrived(backend)
    return seen


def _mistral(url: str) -> dict[str, Any]:
    from mistralai import Mistral  # type: ignore[attr-defined,unused-ignore]  # pyright: ignore[reportAttributeAccessIssue]

    chat: Any = Mistral(api_key="k", server_url=url).chat
    ask = {"model": "mistral-large", "messages": [{"role": "user", "content": "Hi"}]}
    return {
        "complete": lambda: chat.complete(**ask),
        "complete_async": lambda: chat.complete_async(**ask),
        "stream": lambda: chat.stream(**ask),
        "stream_async": lambda: chat.stream_async(**ask),
        "left": lambda: next(iter(chat.stream(**ask))),
    }


def _litellm(url: str) -> dict[str, Any]:
    import litellm  # pyright: ignore[reportMissingImports]

    calls: dict[str, Any] = {}
    for name, given in {
        "openai": {"model": "openai/gpt-5-mini", "api_base": f"{url}/v1"},
        "anthropic": {"model": "anthropic/claude-sonnet-4-5", "api_base": url},
    }.items():
        ask = {**given, "api_key": "k", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
        calls[f"{name} completion"] = lambda ask=ask: litellm.completion(**ask)
        calls[f"{name} acompletion"] = lambda ask=ask: litellm.acompletion(**ask)
        calls[f"{name} stream"] = lambda ask=ask: litellm.completion(**ask, stream=True)
        calls[f"{name} asynchronous stream"] = lambda ask=ask: litellm.acompletion(**ask, stream=True)
    return calls


_read = [0]  # events that have been looked at


def _arrived(backend: testing.Backend) -> list[str]:
    """Who has made the events that have arrived, except what the SDK's guardrails ask the backend."""
    gc.collect()
    gc.freeze()  # the SDKs: the next collection need not look through them
    zespan_serverless.flush()
    events = backend.events
    new = events[_read[0] :]
    _read[0] = len(events)
    return [event["sdk_name"] for event in new if "sdk_name" in event]


def main(order: str, what: str) -> None:
    os.environ.update(
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="k",
        AWS_DEFAULT_REGION="eu-west-1",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        NO_PROXY="127.0.0.1",
    )
    with testing.Backend() as backend:
        _start(order, backend.url)
        seen = asyncio.run(_apis(backend) if what == "apis" else _calls(backend, what))
        sys.stdout.write(json.dumps(seen))
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
