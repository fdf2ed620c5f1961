"""Anthropic's SDK: messages by its own API, and on Bedrock, Vertex and Foundry by its clients for these.

_messages  requests and answers     _events  the events of a stream     _usage  numbers of tokens
"""

from __future__ import annotations

from .._stainless import Requests
from . import _messages

CHOKES = (
    _messages.Methods(),
    Requests({"/v1/messages": _messages.MESSAGES, "/v1/complete": _messages.COMPLETE}),
)
