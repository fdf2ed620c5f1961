"""Reads an SDK's objects, each of which may also be a dict. A value of an unexpected type counts as missing."""

from __future__ import annotations

import functools
from typing import Any

from .._base.guard import pass_on

_COUNT_MAX = 2**53  # a larger number is a mistake
_NOTHING: dict[str, Any] = {}


def field(value: Any, name: str) -> Any:
    """Return a field of a dict or an object; None if it does not exist, or cannot be read."""
    if type(value) is dict:
        return value.get(name)
    if value is None:
        return None
    if issubclass(type(value), dict):
        return dict.get(value, name)
    try:
        kind: Any = type(value)
        if not hasattr(kind, "__pydantic_extra__"):
            return getattr(value, name, None)
        held = value.__dict__
        if name in held:
            return held[name]
        if _is_defined(kind, name):
            return getattr(value, name, None)
        extra = value.__pydantic_extra__  # pydantic itself takes ten times as long to report a missing field
        return extra.get(name) if extra else None
    except Exception as error:
        pass_on(error)
        return None


def held_by(value: Any) -> Any:
    """Return an object whose `get` returns a field: a dict, or a reader of an object; false if there are no fields.

    Reading the dict of a pydantic model is several times as fast as reading the model.
    """
    kind = type(value)
    if kind is dict:
        return value
    if value is None:
        return _NOTHING
    try:
        if hasattr(kind, "__pydantic_extra__"):
            extra = value.__pydantic_extra__
            return {**value.__dict__, **extra} if extra else value.__dict__
    except Exception as error:
        pass_on(error)
    return _Fields(value)


class _Fields:
    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, name: str) -> Any:
        return field(self._value, name)


@functools.lru_cache(maxsize=1024)
def _is_defined(kind: type, name: str) -> bool:
    """Whether a class defines this name, such as a property."""
    return any(name in vars(base) for base in kind.__mro__)


def text_of(value: Any, name: str) -> str:
    """Return a field that is a text, or an empty one."""
    return as_text(field(value, name))


def as_text(value: Any) -> str:
    """Return a value that is a text, or an empty one."""
    if type(value) is str:
        return value
    return str.__str__(value) if issubclass(type(value), str) else ""


def count_of(value: Any, name: str) -> int:
    """Return a field that is a token count; 0 for anything else."""
    return tokens(field(value, name))


def tokens(found: Any) -> int:
    """Return a value that is a token count; 0 for anything else."""
    if type(found) is int:
        return found if 0 <= found <= _COUNT_MAX else 0
    return (whole(found) or 0) if found else 0


def is_count(value: Any) -> bool:
    """Whether this can be a token count."""
    return type(value) is int and 0 <= value <= _COUNT_MAX


def whole(value: Any) -> int | None:
    """Convert a number or its digits to a token count; None for anything else."""
    if is_count(value):
        return int(value)
    if type(value) is float and value.is_integer() and 0 <= value <= _COUNT_MAX:  # Amazon's Titan
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16 else None


def items(value: Any) -> list[Any]:
    """Return the items of a list or tuple; none for anything else, such as an iterator, which the SDK has to read."""
    if value is None:
        return []
    return list(value) if issubclass(type(value), (list, tuple)) else []


def texts_of(message: Any) -> list[str]:
    """Return the texts in a message's content, which is one text or has several parts."""
    content = field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    texts = (part if isinstance(part, str) else field(part, "text") for part in parts)
    return [text for text in texts if isinstance(text, str)]


def function_of(value: Any) -> Any:
    """Return the function of a tool, or of a call of one; custom tools have another field for it."""
    return field(value, "function") or field(value, "custom")


def arguments_of(function: Any) -> str:
    """Return the arguments of a call; custom tools have an `input` instead."""
    return text_of(function, "arguments") or text_of(function, "input")
