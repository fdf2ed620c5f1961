"""`tracestate` and `baggage`: lists that a caller sends with the `traceparent`, and that are forwarded.

https://www.w3.org/TR/trace-context-2/#tracestate-header, https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

import re

_READ_MAX = 65_536  # characters of a list that are parsed
STATE_MEMBERS, STATE_CHARACTERS = 32, 512
_STATE_LONG = 128  # characters of a member that is removed first if the list is too long
BAGGAGE_MEMBERS, BAGGAGE_CHARACTERS = 64, 8192

# Keys of level 1 (`tenant@system`) are keys of level 2. A value does not end with a space.
_STATE = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
# Possessive quantifiers, and spaces only before what needs them: hostile input is read once, without backtracking.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_SET = r"[ \t]*+=(?:[ \t]*+[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]++)?+"
_BAGGAGE = re.compile(rf"{_TOKEN}{_SET}(?:[ \t]*+;[ \t]*+{_TOKEN}(?:{_SET})?+)*+")


def parse_tracestate(value: object) -> str:
    """Return a valid `tracestate` without empty members; otherwise an empty string.

    If it has more than 512 characters, which every system must forward, whole members are removed in the order of the
    specification: those of more than 128 characters, then the last ones.
    """
    members = _members(value)
    if len(members) > STATE_MEMBERS or not all(map(_STATE.fullmatch, members)):
        return ""
    if len({member.partition("=")[0] for member in members}) < len(members):
        return ""
    if len(",".join(members)) > STATE_CHARACTERS:
        members = [member for member in members if len(member) <= _STATE_LONG]
    return _cut(members, STATE_MEMBERS, STATE_CHARACTERS)


def parse_baggage(value: object) -> str:
    """Return a `baggage` without members that are invalid, too many or too long."""
    return _cut(
        [member for member in _members(value) if _BAGGAGE.fullmatch(member)], BAGGAGE_MEMBERS, BAGGAGE_CHARACTERS
    )


def _members(value: object) -> list[str]:
    if not isinstance(value, str) or len(value) > _READ_MAX:
        return []
    return [member for part in value.split(",") if (member := part.strip(" \t"))]


def _cut(members: list[str], count: int, characters: int) -> str:
    """Join as many of the first members as the limits allow."""
    kept = members[:count]
    while len(text := ",".join(kept)) > characters:
        kept.pop()
    return text
