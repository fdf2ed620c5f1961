"""Manual tracing: SDKs without a decorator, and single clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .._base.guard import pass_on
from .._base.log import warn_once
from ..errors import ConfigurationError
from . import ROOMS, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._request import Choke

    Client = TypeVar("Client")

Sdk = Literal["anthropic", "bedrock", "cohere", "dspy", "google", "groq", "litellm", "mcp", "mistral", "openai"]
"""The SDKs that are traced; `bedrock` is boto3 and aiobotocore."""

_SDKS = sorted({*ROOMS.values()})
_ALIKE = ("openai", "anthropic")  # the user's clients may have the same methods


def patch(*sdks: Sdk) -> None:
    """Trace every call of these SDKs from now on, also by existing clients; without an argument, of all SDKs.

    The decorators, the middlewares and `init` call it for you, and start telemetry; until then nothing is recorded.
    Idempotent. It imports no SDK: one that has not been imported yet is patched when your code imports it. Raises
    ConfigurationError for an unknown SDK.
    """
    unknown = [sdk for sdk in sdks if sdk not in _SDKS]
    if unknown:
        known = ", ".join(f'"{name}"' for name in _SDKS)
        raise ConfigurationError(f"patch() does not know {unknown[0]!r}: pass some of {known}, or nothing for all")
    watch(*sdks)


def wrap(client: Client) -> Client:
    """Trace the calls of one client, sync or async, and return it.

    The client may belong to an SDK that has not been patched, or be one of your own with the methods of OpenAI's or
    Anthropic's clients. Idempotent: each call is still one event. Clients made from it (`with_options`) are not traced.
    Starts no telemetry, and never raises: a client that cannot be traced is logged.
    """
    from ._patch import patch_object

    if isinstance(client, type):
        warn_once("wrap-nothing", "wrap() takes a client, not the class %s, and changes nothing", client.__name__)
        return client
    try:
        traced = [patch_object(owner, choke) for choke in _chokes(client) for owner in _owners(client, choke)]
        if not any(traced):
            text = "calls of this %s are not traced: it has no method such as chat.completions.create"
            warn_once("wrap-nothing", text, type(client).__name__)
    except Exception as error:
        pass_on(error)
        warn_once("wrap-nothing", "calls of this %s are not traced: %r", type(client).__name__, error)
    return client


def patch_openai() -> None:
    """Trace OpenAI's SDK: `patch("openai")`."""
    watch("openai")


wrap_openai = wrap
"""An alias of `wrap` for code that only uses OpenAI's SDK."""


def _chokes(client: Any) -> Iterator[Choke]:
    """Return the choke points of a client's calls: those of its SDK, or of the SDKs that compatible clients imitate."""
    from importlib import import_module

    packages = {base.__module__.partition(".")[0] for base in type(client).__mro__}
    rooms = {room for module, room in ROOMS.items() if module.partition(".")[0] in packages}
    for room in rooms or _ALIKE:
        yield from import_module(f"{__package__}.{room}").CHOKES


def _owners(client: Any, choke: Choke) -> Iterator[Any]:
    """Return the objects in a client that have the traced methods."""
    for path in choke.paths:
        owner = client
        for name in path.split(".") if path else ():
            owner = getattr(owner, name, None)
        if owner is not None:
            yield owner
