"""What somebody may have meant by a setting that does not exist. Imported only on the way to an error or a warning."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLOSE = 0.85  # of 1: a name that is less like a setting's may well be somebody's own variable

_OF_THE_SDK = {
    "auto_instrument_http": "traceparent() gives the header to send along",
    "autopatch": "openai is patched by itself; leave it out",
    "enable_otel": "there is no such thing; leave it out",
    "enable_zespan_pilot": "there is no such thing; leave it out",
    "endpoint": "it is base_url, without /v1/ingest",
    "max_queue_size": "it is max_events",
    "otel_endpoint": "there is no such thing; leave it out",
    "otel_service_name": "it is service_name",
    "pii_preset": "values are redacted by their keys, see redact_keys",
    "project_id": "the API key says which project; leave it out",
    "redact_pii": "values are redacted by their keys, see redact_keys",
}
"""Arguments of the official SDK's `init`."""

_OTHER_WORDS = {
    "disable": "enabled",
    "disabled": "enabled",
    "endpoint": "base_url",
    "env": "environment",
    "key": "api_key",
    "prompts": "store_prompts",
    "redact": "redact_keys",
    "service": "service_name",
    "url": "base_url",
}

_NEGATIONS = frozenset(
    ("disable", "disabled", "dont", "exclude", "hide", "mask", "no", "not", "omit", "skip", "without")
)
_VERBS = frozenset(
    ("capture", "collect", "enable", "enabled", "include", "keep", "log", "record", "save", "send", "store")
)
_PROMPTS = frozenset(("prompt", "prompts"))


def instead_of(name: str, settings: Iterable[str]) -> str:
    """What to say after "unknown setting NAME"."""
    if name in _OF_THE_SDK:
        return f", which is the official SDK's; here {_OF_THE_SDK[name]}"
    close = _meant(name, settings, 0.6)
    return f", did you mean {close!r}?" if close else f"; there are {', '.join(settings)}"


def misspelt(variables: Iterable[str], settings: Iterable[str]) -> Iterator[tuple[str, str, bool]]:
    """Those of these ZESPAN_* variables that look like a setting's: each with that setting's name, and whether it says
    the opposite."""
    for variable in variables:
        name = variable[len("ZESPAN_") :].lower()
        meant = "store_prompts" if _is_about_prompts({*name.split("_")}) else _meant(name, settings, _CLOSE)
        if meant:
            yield variable, meant, not _NEGATIONS.isdisjoint(name.split("_")) or name.startswith("dis")


def is_of_the_sdk(variable: str) -> bool:
    """Whether a ZESPAN_* variable is named as an argument of the official SDK's `init`."""
    return variable[len("ZESPAN_") :].lower() in _OF_THE_SDK


def _is_about_prompts(words: set[str]) -> bool:
    """Whether a name says to do something with prompts, or not to: SEND_PROMPTS, NO_STORE_PROMPTS."""
    return not words.isdisjoint(_PROMPTS) and words <= _PROMPTS | _VERBS | _NEGATIONS


def _meant(name: str, settings: Iterable[str], cutoff: float) -> str:
    plain = {setting.replace("_", ""): setting for setting in settings}
    word = name.lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(word, plain, 1, cutoff)
    return _OTHER_WORDS.get(word) or (plain[close[0]] if close else "")
