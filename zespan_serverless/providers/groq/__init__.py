"""Groq's SDK, whose chat completions are like OpenAI's."""

from __future__ import annotations

from typing import Any

from .._fields import items
from .._request import Request
from .._stainless import Requests
from ..openai._chat import CHAT
from ..openai._chunks import function_of


def _asks(client: Any, body: dict[str, Any], headers: Any) -> Request:
    return Request(
        CHAT,
        "groq",
        body.get("model", "unknown"),
        messages=body.get("messages"),
        tools=[function for tool in items(body.get("tools")) if (function := function_of(tool))],
        stream=body.get("stream"),
        headers=headers,
    )


CHOKES = (Requests({"/openai/v1/chat/completions": _asks}),)
