"""Checks the setting `exporter`: an object, or several destinations, each with its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import TEXT_MAX
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._base.exporter import CustomExporter


def checked(given: object, parse: Callable[[str], str], wanted: object) -> Any:
    """Return an exporter, or the exporters of a list as a tuple; for a list with one exporter that one.

    `parse` checks a name, `wanted` are the names. Raises ConfigurationError, which says what to write instead.
    """

    def one(value: Any) -> CustomExporter | str:
        return parse(value) if isinstance(value, str) else _with_methods(value, wanted)

    if not isinstance(given, (list, tuple)) or hasattr(given, "send"):
        return one(given)
    return _distinct([one(value) for value in given])


def name_of(exporter: CustomExporter | str) -> str:
    """Return a destination's name for reports and the log: from the setting, or from the object."""
    return exporter if isinstance(exporter, str) else destination_of(exporter) or type(exporter).__name__


def destination_of(exporter: object) -> str:
    """Return an exporter's `destination` for the log; empty if it has none."""
    try:
        return str(getattr(exporter, "destination", ""))[:TEXT_MAX]
    except Exception as error:
        pass_on(error)
        return ""


def _with_methods(value: Any, wanted: object) -> CustomExporter:
    missing = [name for name in ("encode", "send") if not callable(getattr(value, name, None))]
    missing += [name for name in ("prepare", "cancel", "close") if not callable(getattr(value, name, print))]
    if missing:
        text = f"exporter has no {', '.join(missing)}(): use one of {wanted}, an exporters.Exporter, or a list of them"
        raise ConfigurationError(text)
    return value  # type: ignore[no-any-return]


def _distinct(exporters: Iterable[CustomExporter | str]) -> Any:
    seen: dict[str, CustomExporter | str] = {}
    for one in exporters:
        name = name_of(one)
        if name in seen and isinstance(one, str):
            raise ConfigurationError(f"exporter has {name!r} twice: name each destination once")
        if name in seen:
            text = f"exporter has two destinations called {name!r}: give each object a `destination` of its own"
            raise ConfigurationError(text)
        seen[name] = one
    if not seen:
        raise ConfigurationError("exporter is an empty list: name a destination as in ['zespan'], or use enabled=False")
    return tuple(seen.values()) if len(seen) > 1 else next(iter(seen.values()))
