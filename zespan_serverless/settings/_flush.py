"""The setting `flush`: other SDKs to flush with our events, and how each accepts its timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base import Value
from .._base.guard import pass_on
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

SDKS = ("agents", "braintrust", "ddtrace", "langfuse", "langsmith", "logfire", "opentelemetry", "posthog", "sentry")
"""Valid names. `_process.known_sdks` finds the flush functions of each."""

METHODS = ("force_flush", "flush", "flush_traces")
TIMES = {
    **dict.fromkeys(("timeout", "timeout_seconds", "timeout_s"), "seconds"),
    **dict.fromkeys(("timeout_millis", "timeout_ms", "timeout_milliseconds"), "milliseconds"),
}
"""Parameters of flush functions that accept the time left, and their units."""

_EXAMPLE = "such as flush=[tracer_provider, langfuse_client, 'sentry']"


class Flushable(Value):
    """A function that flushes another SDK. `takes` is the parameter that limits its time; empty if it has none."""

    __slots__ = ("function", "name", "takes")

    def __init__(self, name: str, function: Callable[..., object], takes: str = "") -> None:
        self.name, self.function, self.takes = name, function, takes

    def __call__(self, seconds: float) -> object:
        """Call the function; `seconds` is the time that is left. Raises what it raises."""
        if not self.takes:
            return self.function()
        return self.function(**{self.takes: seconds if TIMES[self.takes] == "seconds" else max(int(seconds * 1000), 1)})


def checked(value: object, setting: str) -> tuple[Flushable | str, ...]:
    """Return the entries of the setting, each a function with its time, or the name of a known SDK.

    Raises ConfigurationError, which says what to write instead.
    """
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise ConfigurationError(f"{setting} must be a list, {_EXAMPLE}, not {value!r}")
    entries: list[Flushable | str] = []
    for one in value:
        entry = one if isinstance(one, Flushable) else _entry(one)
        if entry not in entries:
            entries.append(entry)
    return tuple(entries)


def parsed(text: str, setting: str) -> tuple[str, ...]:
    """Return the names in an environment variable. Raises ConfigurationError for one that is not known."""
    return tuple(sdk_name(name) for name in text.replace(";", ",").split(",") if name.strip())


def sdk_name(text: str) -> str:
    """Return the name of a known SDK. Raises ConfigurationError for any other."""
    name = text.strip()
    if name not in SDKS:
        raise ConfigurationError(f"flush knows no {name!r}: use one of {', '.join(SDKS)}, or pass its object")
    return name


def _entry(value: Any) -> Flushable | str:
    if isinstance(value, str):
        return sdk_name(value)
    found = [method for name in METHODS if callable(method := getattr(value, name, None))]
    kind = _kind(value)
    if isinstance(value, type) and (not found or not hasattr(found[0], "__self__")):
        raise ConfigurationError(f"flush needs an object, not the class {kind}: pass the {kind} that your code uses")
    if not found and not callable(value):
        methods = "(), ".join(METHODS)
        raise ConfigurationError(f"flush cannot use {kind}, which has no {methods}() and is no function: {_EXAMPLE}")
    function = found[0] if found else value
    return Flushable(kind, function, _time_of(function, kind))


def _kind(value: Any) -> str:
    """Return its name for reports: the function, the module, or the class of the object."""
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else type(value).__name__


def _time_of(function: Callable[..., object], kind: str) -> str:
    """Return the parameter for its time. Raises ConfigurationError if it has other required parameters."""
    import inspect

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:  # written in C, without a signature
        pass_on(error)
        return ""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"flush cannot use {kind}, which is a generator: use a def, or an async def")
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    takes = next((one.name for one in parameters if one.name in TIMES and one.kind in named), "")
    for one in parameters:
        if one.default is one.empty and one.name != takes and one.kind in (*named, inspect.Parameter.POSITIONAL_ONLY):
            raise ConfigurationError(f"flush calls {kind} without {one.name!r}: pass lambda: {kind}({one.name}=...)")
    return takes
