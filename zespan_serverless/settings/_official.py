"""Settings of the official SDK `zespan` in this process: `zespan.init(api_key=...)`.

Otherwise those of one of its packages for frameworks: the key and the address.
"""

from __future__ import annotations

import sys
from typing import Any

_INGEST = "/v1/ingest"
_DEFAULT_URL = "https://api.zespan.com"


def of_official_sdk() -> dict[str, Any]:
    """Return values that differ from the SDK's defaults, as settings; empty if it has not been started. This package's
    own arguments and environment variables take precedence."""
    client = getattr(sys.modules.get("zespan.client"), "_client", None)
    if client is None:
        return _of_sibling()
    values: dict[str, Any] = {}
    api_key = getattr(client, "api_key", None)
    if isinstance(api_key, str) and api_key:
        values["api_key"] = api_key
    base_url = getattr(client, "base_url", None)  # which the SDK documents, and does not use for events
    endpoint = getattr(client, "endpoint", None)
    values.update(_url(endpoint) or (_url(base_url + _INGEST) if isinstance(base_url, str) else {}))
    environment = getattr(client, "environment", None)
    if isinstance(environment, str) and environment:
        values["environment"] = environment
    if getattr(client, "store_prompts", True) is False:
        values["store_prompts"] = False
    rate = getattr(client, "sample_rate", 1.0)
    if isinstance(rate, (int, float)) and 0 <= rate < 1:
        values["sample_rate"] = float(rate)
    keys = getattr(client, "redact_keys", None)
    if isinstance(keys, (list, tuple)) and all(isinstance(key, str) for key in keys):
        values["redact_keys"] = tuple(keys)
    return values


def _of_sibling() -> dict[str, Any]:
    for name in ("zespan_fastapi", "zespan_flask"):
        config = getattr(sys.modules.get(name), "__zespan_config__", None)  # noted by `sdks`
        if config is not None and isinstance(config.api_key, str) and config.api_key and config.enabled:
            return {"api_key": config.api_key, **_url(f"{config.base_url}{_INGEST}")}
    for name in ("zespan_crewai.ingest", "zespan_autogen.ingest"):
        module = sys.modules.get(name)
        api_key = getattr(module, "_api_key", None)
        if isinstance(api_key, str) and api_key:
            return {"api_key": api_key, **_url(getattr(module, "_endpoint", None))}
    return {}


def _url(endpoint: object) -> dict[str, Any]:
    if isinstance(endpoint, str) and endpoint.endswith(_INGEST) and endpoint != _DEFAULT_URL + _INGEST:
        return {"base_url": endpoint.removesuffix(_INGEST)}
    return {}
