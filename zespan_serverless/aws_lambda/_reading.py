"""Reads parts of events: the values at paths, and the trace context in their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._base.guard import pass_on

if TYPE_CHECKING:
    from .._trace.context import Carrier

TEXT_MAX = 1_024  # characters of an attribute


def dig(value: object, path: str) -> object:
    """Return the value at a path; None if it does not exist, or if the path is empty."""
    if not path:
        return None
    for key in path.split("/"):
        if isinstance(value, dict):
            value = value.get(key)
        elif key == "0" and isinstance(value, list) and value:
            value = value[0]
        else:
            return None
    return value


def text(value: object) -> str | None:
    """Return a text, cut to TEXT_MAX characters; None for an empty one and for any other value."""
    return value[:TEXT_MAX] if isinstance(value, str) and value else None


def only_texts(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes that are non-empty texts, cut to TEXT_MAX characters."""
    return {name: value[:TEXT_MAX] for name, value in attributes.items() if isinstance(value, str) and value}


def unwrap_event(event: object) -> object:
    """Return an event or a record as Lambda sent it. Its top level is a copy.

    A decorator between Lambda and ours may have made a data class or a pydantic model of it. Fields that a model has
    not kept are lost.
    """
    if type(event) is dict:
        return dict(event)
    try:
        if isinstance(event, Mapping):
            return dict(event)
    except Exception as error:
        pass_on(error)
    dump = getattr(type(event), "model_dump", None)  # looked up in the class: a mock has every attribute
    for mode in ("json", "python") if callable(dump) else ():  # "json" fails for bytes that are not UTF-8
        try:
            return dump(event, mode=mode, by_alias=True, exclude_unset=True, warnings=False)  # type: ignore[misc]
        except Exception as error:
            pass_on(error)
    return event


QUOTED = ('"traceparent"', '\\"traceparent\\"')
"""The key in JSON, and in JSON that is nested in JSON."""

# At the top level, in EventBridge's detail, in SNS's attributes, in Step Functions' input: the field that such an event
# has, and the path.
_CARRIERS = (
    ("traceparent", "{}"),
    ("detail", "detail/{}"),
    ("MessageAttributes", "MessageAttributes/{}/Value"),
    ("Input", "Input/{}"),
    ("Execution", "Execution/Input/{}"),
    ("Context", "Context/Execution/Input/{}"),
)
_FIRSTS = frozenset(first for first, _ in _CARRIERS)


def embedded(message: object) -> Carrier:
    """Return the trace context in a message's or an event's JSON."""
    if not isinstance(message, dict):
        return nothing
    for first, path in () if message.keys().isdisjoint(_FIRSTS) else _CARRIERS:
        if first in message and dig(message, path.format("traceparent")) is not None:
            return lambda name: dig(message, path.format(name))
    inner = message.get("Message") if message.get("Type") == "Notification" else None  # published to SNS
    return embedded(json_or_none(inner)) if isinstance(inner, str) and QUOTED[0] in inner else nothing


def nothing(name: str) -> object:
    """Return nothing: the `Carrier` of a message without trace context."""
    return None


def json_or_none(text: str) -> object:
    """Parse JSON; None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
