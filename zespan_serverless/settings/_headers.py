"""The setting `headers`, and variables with headers. Errors do not quote values, which may be secret."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from .._base.log import warn_once
from ..errors import ConfigurationError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"))


def checked(given: Any, setting: str) -> dict[str, str]:
    """Return headers by their names in lower case. Raises ConfigurationError for one that HTTP does not allow."""
    headers: dict[str, str] = {}
    if isinstance(given, str) or not hasattr(given, "items"):
        raise ConfigurationError(f"{setting} must be a mapping of strings, not a {type(given).__name__}")
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{setting} has a name that is not allowed in HTTP: use letters, digits and hyphens"
            )
        if name.lower() in _OURS:
            raise ConfigurationError(f"{setting} must not have {name!r}, which every request gets by itself")
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise ConfigurationError(f"{setting}[{name!r}] must be a string without line breaks, in ASCII")
        headers[name.lower()] = value.strip()
    return headers


def is_allowed(name: str, value: str) -> bool:
    """Whether HTTP allows this header, and it is not set automatically."""
    is_name = _NAME.fullmatch(name) is not None and name.lower() not in _OURS
    return is_name and value.isascii() and value.isprintable()


def parsed(text: str, setting: str) -> dict[str, str]:
    """Parse headers from a variable like a=1,b=2, whose values are encoded like W3C baggage."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ConfigurationError("use a=1,b=2")
    return checked({unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}, setting)


def pairs_of(text: str, variable: str, *, are_headers: bool = False) -> dict[str, str]:
    """Return the pairs in another tool's variable, in the same format. Omitted ones are logged once."""
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()), unquote(value.strip())
        if key and equals and (not are_headers or is_allowed(key, value)):
            pairs[key.lower() if are_headers else key] = value
        elif pair.strip():
            warn_once("pairs-unreadable", "a part of %s is ignored: use a=1,b=2", variable)
    return pairs
