"""Guesses which setting a wrong name was meant to be. Imported only to write an error or a warning."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLOSE = 0.83  # similarity from 0 to 1, as of six letters with one wrong; a less similar name may be of the user's own

_ALMOST = 0.9  # the same, for whole names of variables: OPENAI_API_KEY is not meant for ZESPAN_API_KEY

_SDK_ARGUMENTS = {
    "auto_instrument_http": "propagate_to names the hosts whose requests carry the trace",
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
"""Arguments of the official SDK's `init`, each with what to do instead."""

_SYNONYMS = {
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


def suggestion(name: str, settings: Iterable[str]) -> str:
    """Return the end of the error message "unknown setting NAME", which says what to use instead."""
    if name in _SDK_ARGUMENTS:
        return f", which belongs to the official SDK; here {_SDK_ARGUMENTS[name]}"
    if name == "traceparent":  # of `task_scope`
        return ": task_scope(name, traceparent=...) continues a trace"
    close = _closest(name, settings, 0.6)
    return f", did you mean {close!r}?" if close else f"; the settings are {', '.join(settings)}"


def misspelled(variables: Iterable[str], settings: Iterable[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield the ZESPAN_* variables whose names resemble that of a setting: (variable, setting, is_negated).

    `is_negated` is true for a name that asks for the opposite of the setting, such as ZESPAN_NO_PROMPTS.
    """
    for variable in variables:
        name = variable[len("ZESPAN_") :].lower()
        meant = "store_prompts" if _is_about_prompts({*name.split("_")}) else _closest(name, settings, _CLOSE)
        if meant:
            yield variable, meant, not _NEGATIONS.isdisjoint(name.split("_")) or name.startswith("dis")


def similar(variable: str, names: Iterable[str]) -> str:
    """Return the name of an environment variable that may be meant for this one; empty if there is none."""
    return next(iter(difflib.get_close_matches(variable, (name.upper() for name in names), 1, _ALMOST)), "")


def is_sdk_argument(variable: str) -> bool:
    """Whether a ZESPAN_* variable has the name of an argument of the official SDK's `init`."""
    return variable[len("ZESPAN_") :].lower() in _SDK_ARGUMENTS


def _is_about_prompts(words: set[str]) -> bool:
    """Whether a name asks to do something with prompts, or not to do it: SEND_PROMPTS, NO_STORE_PROMPTS."""
    return not words.isdisjoint(_PROMPTS) and words <= _PROMPTS | _VERBS | _NEGATIONS


def _closest(name: str, settings: Iterable[str], cutoff: float) -> str:
    """Return the setting whose name is a synonym of this name, or similar enough to it; empty if there is none."""
    plain = {setting.replace("_", ""): setting for setting in settings}
    word = name.lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(word, plain, 1, cutoff)
    return _SYNONYMS.get(word) or (plain[close[0]] if close else "")
