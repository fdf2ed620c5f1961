"""Groq's SDK, whose chat completions are like OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._stainless import Requests
from ..openai._chat import Chat

if TYPE_CHECKING:
    from .._request import Request


class Groq(Chat):
    """Chat completions."""

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        request = Chat.request_of(self, client, body, headers)
        request.provider = "groq"
        return request


CHOKES = (Requests({"/openai/v1/chat/completions": Groq()}),)
