"""Settings that the user has given to the official SDK `zespan` in this process: `zespan.init(api_key=...)`."""

from __future__ import annotations

import sys
from typing import Any

_INGEST = "/v1/ingest"
_DEFAULT_URL = "https://api.zespan.com"


def of_official_sdk() -> dict[str, Any]:
    """What differs from the SDK's defaults, as settings; empty if it has not been started. Arguments and environment
    variables of ours come first."""
    client = getattr(sys.modules.get("zespan.client"), "_client", None)
    if client is None:
        return {}
    values: dict[str, Any] = {}
    api_key = getattr(client, "api_key", None)
    if isinstance(api_key, str) and api_key:
        values["api_key"] = api_key
    endpoint = getattr(client, "endpoint", None)
    if isinstance(endpoint, str) and endpoint.endswith(_INGEST) and endpoint != _DEFAULT_URL + _INGEST:
        values["base_url"] = endpoint.removesuffix(_INGEST)
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
