"""Traces providers of models: each call of an SDK becomes one record, however the call ends.

    _patch   puts our wrapper around an SDK's methods    _call     one call, from its start to its event
    _wrap    a wrapper through which results pass        _request  what a room says of a request
    _stream  a stream, while the user reads it           _fields   reads an SDK's objects
    _prompt  reads a request's messages and tools        _by_hand  `patch` and `wrap`
    _pricing what tokens cost                            _tool     one tool call
    _sending the HTTP requests: their number and time    _connection  on which a model answers in messages

A provider's room answers four questions: which methods its calls pass through (`CHOKES`), which of those calls are its
own and what they ask (`Choke.read`), what an answer contains (`Endpoint.answer`), and what chunks of a stream add up to
(`Pieces`). It is imported when its SDK is, and neither catches exceptions nor knows settings or redaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.hook import when_imported

if TYPE_CHECKING:
    from types import ModuleType

ROOMS = {
    "openai._base_client": "openai",
    "openai.resources.chat.completions.completions": "openai",
    "openai.resources.chat.completions": "openai",  # a module itself in older versions
    "openai.resources.beta.chat.completions": "openai",  # the home of `parse` before openai 1.92
    "openai.resources.realtime.realtime": "openai",
    "openai.resources.beta.realtime.realtime": "openai",
    "anthropic._base_client": "anthropic",
    "groq._base_client": "groq",
    "botocore.client": "bedrock",
    "aiobotocore.client": "bedrock",
    "google.genai.models": "google",
    "google.genai._gaos.interactions": "google",
    "mistralai.client.chat": "mistral",
    "mistralai.client.agents": "mistral",
    "mistralai.client.fim": "mistral",
    "mistralai.client.embeddings": "mistral",
    "mistralai.chat": "mistral",  # before mistralai 2
    "mistralai.agents": "mistral",
    "mistralai.fim": "mistral",
    "mistralai.embeddings": "mistral",
    "cohere.raw_base_client": "cohere",
    "cohere.v2.raw_client": "cohere",
    "dspy.clients.engines.lm15_engine": "dspy",
    "litellm.main": "litellm",
    "litellm.responses.main": "litellm",
    "mcp.client.session": "mcp",
}
"""Maps an SDK's module to the room that traces it."""


def watch(*rooms: str) -> None:
    """Trace the calls of these rooms' SDKs from now on; without an argument, of all. Idempotent.

    An SDK that has not been imported yet is patched when it is: this imports none.
    """
    wanted = [(name, room) for name, room in ROOMS.items() if not rooms or room in rooms]
    when_imported({name: {f"{room} calls are not traced": _patch_room} for name, room in wanted})


def _patch_room(module: ModuleType) -> None:
    """Patch a module of an SDK with the choke points of its room, and the HTTP clients beneath all SDKs."""
    from importlib import import_module

    from . import _sending  # imported here, to save it in processes without an SDK
    from ._patch import patch

    patch(module, import_module(f"{__name__}.{ROOMS[module.__name__]}").CHOKES)
    when_imported({name: {"requests are not counted": _sending.attend} for name in _sending.CLIENTS})
