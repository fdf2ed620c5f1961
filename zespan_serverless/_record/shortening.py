"""Shortens a record that is too large. Imported when there is one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .values import to_json

if TYPE_CHECKING:
    from .record import Record

_NESTED = 4
"""Times the length of the longest text that all attributes together may have in a record that is shortened."""


def shortened(record: Record, longest: int) -> Record:
    """A copy with no text longer than `longest` characters; the texts state what has been cut."""

    def change(values: list[Any]) -> list[Any]:
        return [cut(value, longest) for value in values]

    copy = record.mapped(change)
    if copy.model is not None:
        copy.model.shorten(change, longest)
    if copy.step is not None:
        copy.step = copy.step.shortened(change, longest)
    if len(to_json(copy.attributes)) > _NESTED * longest:  # many short texts are not shortened one by one
        copy.attributes = {"...": cut(to_json(copy.attributes), longest)}
    if record.fields is not None:
        copy.fields = {name: cut(value, longest) for name, value in record.fields.items()}
    return copy


def cut(value: Any, longest: int) -> Any:
    """A copy of a plain value with no text longer than `longest` characters, and no container of more than an eighth
    as many items. What is left out is stated in its place."""
    if type(value) is str and len(value) > longest:
        return f"{value[:longest]} [{len(value) - longest} of {len(value)} characters cut]"
    if type(value) not in (dict, list):
        return value
    most = longest // 8
    left_out = f"[{len(value) - most} of {len(value)} left out]" if len(value) > most else ""
    if type(value) is dict:
        kept = {key[:longest]: cut(v, longest) for key, v in islice(value.items(), most)}
        return {**kept, "...": left_out} if left_out else kept
    return [*(cut(v, longest) for v in value[:most]), *([left_out] if left_out else [])]
