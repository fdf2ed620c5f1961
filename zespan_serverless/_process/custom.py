"""Adds the methods that the delivery calls to a user's exporter."""

from __future__ import annotations

from abc import ABCMeta
from typing import TYPE_CHECKING

from .. import exporters

if TYPE_CHECKING:
    from .._base.exporter import CustomExporter, Exporter, Fallback


def completed(theirs: CustomExporter | Fallback) -> Exporter:
    """Return a user's exporter unchanged, or wrapped if it lacks methods that the delivery calls."""
    if callable(getattr(theirs, "cancel", None)) and callable(getattr(theirs, "close", None)):
        return theirs  # type: ignore[return-value]  # it has all four methods
    kind = type(theirs)
    attributes: dict[str, object] = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,  # a journal belongs to a class of exporters
        "destination": property(lambda _: getattr(theirs, "destination", "")),
    }
    for name in ("encode", "send", "send_async", "prepare", "cancel", "close"):
        if hasattr(theirs, name):
            attributes[name] = staticmethod(getattr(theirs, name))
    return ABCMeta(kind.__name__, (exporters.Exporter,), attributes)()  # type: ignore[no-any-return]
