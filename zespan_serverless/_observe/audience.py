"""Reads the user, session and conversation of an invocation by the user's functions, from the event or request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import describe, warn_once
from ..errors import ConfigurationError
from ..settings import READERS
from .spans import id_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._trace import Span


def without_readers(settings: Mapping[str, Any], caller: str) -> Mapping[str, Any]:
    """Return the settings of `caller`, which decorates nothing that is called with an event.

    Raises ConfigurationError if they contain a reader.
    """
    for name in READERS:
        if settings.get(name) is not None:
            hint = f"pass it to a decorator, or use with_context({name}=...)"
            raise ConfigurationError(f"{caller} takes no {name}, because nothing calls it with an event: {hint}")
    return settings


def put(readers: Mapping[str, Callable[[Any], object]], subject: Callable[[], Any], span: Span) -> None:
    """Set what `readers` return on the root span of an invocation, by name: `user_id` and the others.

    `subject` returns their argument. Raises no Exception, except that of a signal handler.
    """
    for name, read in readers.items():
        try:
            found = read(subject())
            if hasattr(type(found), "__await__"):
                getattr(found, "close", bool)()  # otherwise Python warns that it was never awaited
                text = "%s returns an awaitable, and is left out: use a def or lambda that does not await"
                warn_once("reader-awaitable", text, name)
                continue
        except Exception as error:
            pass_on(error)
            warn_once("reader-failed", "%s could not be read and is left out: %s", name, describe(error))
            continue
        setattr(span, name, id_text(found, getattr(span, name)))
