"""One API that is traced, as the modules beside this one describe it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.providers.endpoint import Json, Reply

QUESTION = "What is the weather in Bern?"
MESSAGES = [{"role": "user", "content": QUESTION}]


@dataclass
class Api:
    """`connect(url, is_async)` makes a client, `ask` and `stream` call it: what they return is awaited if it can be.

    `pieces` reads the text of one piece of a stream, `answer` and `streamed` are what the provider sends. `event` has
    the fields of the event of an answer, `later` those that a stream has otherwise, `usage` the further numbers in its
    metadata. `is_entered`: whether `with` begins a stream.
    """

    name: str
    connect: Callable[[str, bool], Any]
    ask: Callable[[Any], Any]
    answer: Reply
    event: Json
    stream: Callable[[Any], Any] | None = None
    streamed: Reply | None = None
    later: Json = field(default_factory=dict)
    is_entered: bool = False
    prompt: str = QUESTION
    usage: Json = field(default_factory=dict)

    def reply(self, path: str, request: Json) -> Reply:
        """Return what the provider answers."""
        is_stream = request.get("stream") or "stream" in path.lower()
        return self.streamed if is_stream and self.streamed is not None else self.answer
