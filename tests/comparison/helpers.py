"""Methods of the SDKs that make the same requests as those of `apis`, and return something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.providers.apis import APIS as BASIC
from tests.providers.apis.api import MESSAGES, QUESTION, Api


def none(client: Any) -> Any:
    """Return an API that has only streams is not asked for an answer."""
    raise NotImplementedError


def _like(base: str, name: str, ask: Any, stream: Any = None) -> Api:
    later = {"system_prompt": None} if "system_prompt" in BASIC[base].event else {}
    return replace(BASIC[base], name=name, ask=ask, stream=stream, later=later, is_entered=name.endswith("stream"))


_CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": MESSAGES}

APIS = {
    api.name: api
    for api in (
        _like(
            "openai chat",
            "openai chat parse, stream",
            lambda client: client.chat.completions.parse(model="gpt-5-mini", messages=MESSAGES),
            lambda client: client.chat.completions.stream(
                model="gpt-5-mini", messages=MESSAGES, stream_options={"include_usage": True}
            ),
        ),
        _like(
            "openai responses",
            "openai responses parse, stream",
            lambda client: client.responses.parse(model="gpt-5-mini", input=QUESTION),
            lambda client: client.responses.stream(model="gpt-5-mini", input=QUESTION),
        ),
        _like(
            "anthropic messages",
            "anthropic messages stream",
            none,
            lambda client: client.messages.stream(**_CLAUDE),
        ),
        _like(
            "anthropic messages",
            "anthropic beta messages",
            lambda client: client.beta.messages.create(**_CLAUDE),
            lambda client: client.beta.messages.create(**_CLAUDE, stream=True),
        ),
    )
}
