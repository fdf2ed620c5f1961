"""OpenAI's SDK: chat completions, sync, async, streamed, parsed and raw.

    _chat       requests and answers        _chunks     chunks of a stream
    _addresses  who answers at an address

A call passes two places, and neither is enough alone. The methods (`create`, `parse`) receive what the user has passed;
they also see calls that are refused before anything is sent, and clients that are mocked or of another make and send
nothing. The client's `request` is beneath the tools that wrap the methods: the answer is taken there, a stream before
another tool wraps it. It also sees the calls of a client whose methods another tool had wrapped before us. Where a tool
had wrapped `request` before us, ours is not called for its clients; their answers are taken at the methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..._base.guard import pass_on
from ..._base.log import warn_once
from .. import watch
from .._patch import patch_object
from ._chat import Methods, Requests

if TYPE_CHECKING:
    Client = TypeVar("Client")

__all__ = ["patch_openai", "wrap_openai"]

METHODS = Methods()
CHOKES = (METHODS, Requests())


def patch_openai() -> None:
    """Trace every chat completion of every client from now on. Idempotent; the decorators call it by themselves.

    If `openai` has not been imported yet, its methods are patched when it is: this never imports it.
    """
    watch("openai")


def wrap_openai(client: Client) -> Client:
    """Trace the chat completions of one client, and return it: one that `patch_openai` does not reach, of another make
    with the same methods. Sync or async; idempotent. Never raises: what cannot be traced is logged."""
    try:
        completions = client.chat.completions  # type: ignore[attr-defined]
        patch_object(completions, METHODS)
        if getattr(completions, "parse", None) is None:  # older clients
            parser = getattr(getattr(getattr(client, "beta", None), "chat", None), "completions", None)
            patch_object(parser, METHODS, ("parse",))
    except Exception as error:
        pass_on(error)
        warn_once("calls of this %s are not traced: %r", type(client).__name__, error)
    return client
