"""Reads an SDK's objects, each of which may also be a dict. A value of an unexpected type is read as absent."""

from __future__ import annotations

from typing import Any

from .._base.guard import pass_on

_COUNT_MAX = 2**53  # more is a mistake


def field(value: Any, name: str) -> Any:
    """A field of a dict or of an object; None if there is none, or it cannot be read."""
    if issubclass(type(value), dict):
        return dict.get(value, name)
    try:
        return getattr(value, name, None)
    except Exception as error:
        pass_on(error)
        return None


def text_of(value: Any, name: str) -> str:
    """A field that is a text, else an empty one."""
    text = field(value, name)
    return str.__str__(text) if issubclass(type(text), str) else ""


def count_of(value: Any, name: str) -> int:
    """A field that is a number of tokens; 0 for what cannot be one."""
    count: int = field(value, name)
    return count if is_count(count) else 0


def is_count(value: Any) -> bool:
    """Whether this can be a number of tokens."""
    return type(value) is int and 0 <= value <= _COUNT_MAX


def items(value: Any) -> list[Any]:
    """The items of a list or tuple; none of anything else, such as an iterator, which is the SDK's to read."""
    return list(value) if issubclass(type(value), (list, tuple)) else []


def texts_of(message: Any) -> list[str]:
    """The texts in a message's content, which is one text or has several parts."""
    content = field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    texts = (part if isinstance(part, str) else field(part, "text") for part in parts)
    return [text for text in texts if isinstance(text, str)]
