"""Cohere's SDK, both versions of its API: chat and its streams, generate, embed, rerank.

    _answers  answers     _events  the events of streams     _streams  how these are read along

The methods of the raw clients are traced: a client binds its own methods when it is made, which may be before us.
"""

from __future__ import annotations

from typing import Any

from .._fields import field, items
from .._request import Choke, Endpoint, Request
from . import _answers


class Method(Choke):
    """One method of the raw clients. `given` is the field of its input, besides messages."""

    classes: tuple[str, ...] = ("RawBaseCohere", "AsyncRawBaseCohere", "RawV2Client", "AsyncRawV2Client")
    paths: tuple[str, ...] = ("_raw_client", "v2._raw_client")

    def __init__(self, name: str, endpoint: Endpoint, given: str, *, stream: bool = False) -> None:
        self.methods: tuple[str, ...] = (name,)
        self._endpoint, self._given, self._stream = endpoint, given, stream

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        given = kwargs.get(self._given)
        asked = [{"role": "user", "content": one} for one in items(given) or [given] if one is not None]
        history = [
            {"role": field(one, "role"), "content": field(one, "message")} for one in items(kwargs.get("chat_history"))
        ]
        tools = [field(tool, "function") or tool for tool in items(kwargs.get("tools"))]
        return Request(
            self._endpoint,
            "cohere",
            kwargs.get("model") or "",
            messages=kwargs.get("messages") or [*history, *asked],
            system=kwargs.get("preamble"),
            tools=[tool for tool in tools if field(tool, "name")],
            stream=self._stream,
        )


CHOKES = (
    Method("chat", _answers.CHAT, "message"),
    Method("chat_stream", _answers.CHAT, "message", stream=True),
    Method("generate", _answers.GENERATE, "prompt"),
    Method("embed", _answers.EMBED, "texts"),
    Method("rerank", _answers.RERANK, "query"),
)
