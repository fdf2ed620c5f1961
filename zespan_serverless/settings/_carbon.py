"""Address and key of the exporter `carbon`. Imported only for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._fields import DEFAULT_BASE_URL, unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Given(Protocol):
        """The setting that matters here."""

        base_url: str


_ADDRESS = "https://ingest.oncarbon.site"


class Target:
    """An address and a key. `missing`: what to do before anything can be sent; empty if nothing."""

    __slots__ = ("key", "missing", "url")

    def __init__(self, url: str, key: str | None, missing: str) -> None:
        self.url, self.key, self.missing = url, key, missing


def target(settings: Given, environ: Mapping[str, str] | None = None) -> Target:
    """Return Carbon's address, or the `base_url` instead, and the key from Carbon's variable. Never raises."""
    key = unquoted((os.environ if environ is None else environ).get("CARBON_API_KEY", "").strip())
    if settings.base_url != DEFAULT_BASE_URL and not key:  # a self-hosted backend may not need one
        return Target(settings.base_url, None, "")
    url = _ADDRESS if settings.base_url == DEFAULT_BASE_URL else settings.base_url
    is_valid = bool(key) and key.isascii() and key.isprintable()
    return Target(url, key if is_valid else None, "" if is_valid else "set CARBON_API_KEY")
