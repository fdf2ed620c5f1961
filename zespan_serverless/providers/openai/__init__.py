"""OpenAI's SDK, with which many other providers are called, too.

    _chat       chat completions            _chunks     chunks of their streams
    _responses  the Responses API           _others     completions, embeddings, images, audio, moderations
    _usage      numbers of tokens           _addresses  which provider is at an address
    _realtime   the Realtime API            _realtime_events  its responses and transcripts

A chat completion passes two places, and neither is enough alone. The methods (`create`, `parse`) receive what the user
has passed; they also see calls that are refused before anything is sent, and clients that are mocked or of another make
and send nothing. The client's `request` is beneath the tools that wrap the methods: the answer is taken there, a stream
before another tool wraps it. It also sees the calls of a client whose methods another tool had wrapped before us. Where
a tool had wrapped `request` before us, ours is not called for its clients; their answers are taken at the methods. All
other calls pass `request` only.
"""

from __future__ import annotations

from typing import Any

from .._request import Choke, Request
from .._stainless import Requests, StainlessEndpoint
from . import _chat


class Connections(Choke):
    """What opens a connection to the Realtime API, on which there may be many responses."""

    classes: tuple[str, ...] = ("RealtimeConnectionManager", "AsyncRealtimeConnectionManager")
    methods: tuple[str, ...] = ("__enter__", "__aenter__", "enter")
    paths: tuple[str, ...] = ()

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        from ._realtime import connect  # not above: most functions open none

        return connect(owner)


class Posts(Requests):
    """All requests. What reads other calls than chat completions is imported when there is one."""

    def at(self, path: str) -> StainlessEndpoint | None:
        if path == "/chat/completions":
            return _chat.CHAT
        if path == "/responses":
            from ._responses import RESPONSES

            return RESPONSES
        from ._others import ENDPOINTS

        return ENDPOINTS.get(path)


CHOKES = (
    _chat.Methods(),
    Posts(),
    Connections(),
)
