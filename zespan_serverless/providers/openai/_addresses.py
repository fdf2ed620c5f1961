"""Which provider is at an address: OpenAI's SDK is the client of many."""

from __future__ import annotations

import functools
from typing import Any

# The names of OpenTelemetry's `gen_ai.provider.name`, by the end of the host.
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "openai.com": "openai",
    "openrouter.ai": "openrouter",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "x.ai": "x_ai",
    "perplexity.ai": "perplexity",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
}
UNKNOWN_PROVIDER = "openai"
"""The provider at an address that does not name one (this machine, a private network). It may be a proxy for OpenAI or
a model of the user's own; the SDK `zespan` assumes OpenAI."""
_NOWHERE = frozenset(("localhost", "local", "internal", "lan", "home", "svc", "test", "example", "invalid"))
_SECOND_LEVEL = frozenset(("co", "com", "net", "org", "ac", "gov", "edu"))


_ADDRESSES_MAX = 64
_seen: dict[int, tuple[object, type, str]] = {}
"""Providers by the id of a URL object, which never changes. Its text takes longer to make than all else here."""


def provider_of(client: Any) -> str:
    """Return the provider that a client calls."""
    url, kind = getattr(client, "base_url", ""), type(client)
    seen = _seen.get(id(url))
    if seen is None or seen[0] is not url or seen[1] is not kind:
        if len(_seen) >= _ADDRESSES_MAX:
            _seen.clear()
        seen = _seen[id(url)] = (url, kind, provider_at(str(url), kind.__name__))
    return seen[2]


@functools.lru_cache(maxsize=64)
def provider_at(base_url: str, client: str = "") -> str:
    """Return the provider at an address. `client` is the name of the client's class."""
    if "openrouter.ai" in base_url:  # as in the SDK, wherever it stands: proxies keep it in the path
        return "openrouter"
    if "Azure" in client:
        return "azure.ai.openai"
    if not base_url:
        return "openai"
    host = base_url.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
    host = "" if host.startswith("[") else host.partition(":")[0].rstrip(".")
    for end, name in _PROVIDERS.items():
        if host == end or host.endswith("." + end):
            return name
    parts = host.split(".")
    if len(parts) < 2 or parts[-1].isdigit() or parts[-1] in _NOWHERE:
        return UNKNOWN_PROVIDER
    return parts[-3] if len(parts) > 2 and parts[-2] in _SECOND_LEVEL else parts[-2]
