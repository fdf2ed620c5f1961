"""The HTTP requests of one call: how many they are, and when the last one has to end.

    _httpx     requests by httpx and httpx2      _bounded, _httpcore  those that have to be over at some time
    _botocore  requests by botocore              _urllib3             those that have to be over at some time
    _attempts  the requests of one call
    _aiohttp   requests by aiohttp               _retries             pauses of the SDKs between two tries

An SDK retries inside one call, so requests are counted in the HTTP client beneath it. The time is limited there as well
(`cap_timeouts`): only the client's waits take long, and the SDK converts the client's error to its own. The user's
client and its timeouts, which other calls share, stay unchanged. Without a current model call in their context, all
wrappers only pass calls on, and the code that limits is imported with the first limited call.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

CLIENTS = {
    "httpx": "_httpx",
    "httpx2": "_httpx",
    "aiohttp.client": "_aiohttp",
    "botocore.endpoint": "_botocore",
    "aiobotocore.endpoint": "_botocore",
}
"""Maps an HTTP client's module to the module here that patches it."""

_RETRYING = (
    *(
        "openai._base_client",
        "anthropic._base_client",
        "groq._base_client",
        "botocore.endpoint",
        "aiobotocore.endpoint",
    ),
    "tenacity",  # for google-genai
    *("mistralai.client.utils.retries", "mistralai.utils.retries"),  # the latter before mistralai 2
    "cohere.core.http_client",
)
"""Modules that implement the pauses between two attempts."""


def attend(module: ModuleType) -> None:
    """Patch this module of an HTTP client, to count its requests. Idempotent."""
    import_module(f"{__name__}.{CLIENTS[module.__name__]}").patch(module)


def limit_pauses() -> None:
    """Patch the pauses of the loaded SDKs. Idempotent; not called as long as no call is limited."""
    from ._retries import patch

    for name in _RETRYING:
        module = sys.modules.get(name)
        if module is not None:
            patch(module)
