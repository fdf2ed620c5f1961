"""Shortens a record that is too large. Imported on demand."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .values import to_json

if TYPE_CHECKING:
    from .record import Record

_NESTED = 4
"""Limit for all attributes of a shortened record: multiples of the longest text."""


def shortened(record: Record, longest: int) -> Record:
    """Return a copy with no text longer than `longest` characters; the texts state what was cut."""

    def change(values: list[Any]) -> list[Any]:
        return [cut(value, longest) for value in values]

    copy = record.copy()
    copy.map_beginning(change)
    copy.map_end(change)
    if copy.model is not None:
        copy.model.shorten(change, longest)
    if copy.step is not None:
        copy.step = copy.step.shortened(change, longest)
    if len(to_json(copy.attributes)) > _NESTED * longest:  # many short texts are not shortened individually
        copy.attributes = {"...": cut(to_json(copy.attributes), longest)}
    if record.fields is not None:
        copy.fields = {name: cut(value, longest) for name, value in record.fields.items()}
    return copy


def cut(value: Any, longest: int) -> Any:
    """Return a copy of a plain value with no text longer than `longest` characters, and no container with more than an
    eighth as many items. Omitted parts are stated."""
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
