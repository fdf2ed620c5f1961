"""Environment variables that begin with ZESPAN_ and are not settings. Imported when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.hints import is_sdk_argument, misspelled
from .._base.log import warn_once
from ._fields import FALSE, FIELDS, TRUE, VARIABLES, Field, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def correct(unknown: Iterable[str], environ: Mapping[str, str], values: dict[str, Any]) -> None:
    """Log which of these variables are probably misspelled.

    A variable that withholds data is honoured anyway: a typo must not send prompts that were meant to be switched off.
    """
    for variable in unknown:
        if (name := variable[7:].lower()) in FIELDS and name not in VARIABLES:
            warn_once("variable-code-only", "%s is ignored: %s can be set in code only", variable, name)
    for variable, name, is_negated in misspelled(unknown, VARIABLES):
        text = environ[variable].strip()
        if name in values or not text:
            continue
        value = _kept_back(FIELDS[name], text, is_negated=is_negated)
        text = "%s is not a setting and is ignored; did you mean %s?"
        if value is not None:
            values[name] = value
            text = "%s is not a setting, but is honoured because it keeps data back; rename it to %s"
        elif is_sdk_argument(variable):
            text = "%s belongs to the official SDK and is ignored; use %s"
        warn_once("variable-misspelled", text, variable, VARIABLES[name])


def _kept_back(field: Field, text: str, *, is_negated: bool) -> object:
    """Return the setting's value if a misspelled variable asks to send less than by default; otherwise None."""
    if field.name == "redact_keys":
        return (*field.default, *field.parse(text))
    return False if field.keeps_back and unquoted(text).lower() in (TRUE if is_negated else FALSE) else None
