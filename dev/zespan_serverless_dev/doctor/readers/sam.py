"""One function of a SAM or CloudFormation template, for tools that run it."""

from __future__ import annotations

from pathlib import Path

from ..model import Function, Layer
from . import _files, _functions
from ._documents import Unreadable
from ._template import Template


class NoFunction(ValueError):
    """A template without a usable function. The message says why, and what to type."""


def function(template: Path, name: str | None = None) -> Function:
    """Return the function with a logical id (or FunctionName); without a name the only one. Raises NoFunction."""
    try:
        read = Template(template, _files.parsed(template, _files.text(template)))
    except Unreadable as error:
        raise NoFunction(f"{template}: {error}") from None
    found = {each.name: each for each in _functions.functions(read)}
    if not found:
        raise NoFunction(f"{template} has no function (a resource of the type {' or '.join(_functions.TYPES)})")
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    named = {read.value(each.get("FunctionName")): id for id, each in read.of_type(*_functions.TYPES).items()}
    if name is not None and name in named:
        return found[named[name]]
    missing = "has several functions" if name is None else f"has no function {name}"
    raise NoFunction(f"{template} {missing}: name one of {', '.join(sorted(found))}")


def layers(template: Path) -> dict[str, Layer]:
    """Return the layers that a template makes, by their logical ids. Raises NoFunction if it cannot be read."""
    try:
        return _functions.layers(Template(template, _files.parsed(template, _files.text(template))))
    except Unreadable as error:
        raise NoFunction(f"{template}: {error}") from None
