"""One wrapper for every host: each call of a user's function, of any kind, is one invocation.

If telemetry fails, the call still has only the function's own result or exception, and the function is called once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from .. import _trace
from .. import settings as _settings
from .._base import aio
from .._base.guard import Guarded, contain
from ..errors import ConfigurationError
from . import start
from .active import ActiveInvocation
from .host import Reads, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._process.container import Container
    from .host import Host, Scope


def configured(function: Any, settings: Mapping[str, Any], decorate: Callable[[Any, Mapping[str, Any]], Any]) -> Any:
    """Return the result of a decorator that is used bare, or with settings as keyword arguments.

    Raises ConfigurationError for an unknown setting, or a value of the wrong type.
    """
    checked = _settings.check(settings)
    return decorate(function, checked) if function is not None else lambda decorated: decorate(decorated, checked)


def check_function(function: Any, what_it_does: str, *, classes: bool = True) -> None:
    """Raise ConfigurationError for anything but a function. `what_it_does` begins the message."""
    if not callable(function) or (not classes and isinstance(function, type)):
        raise ConfigurationError(f"{what_it_does}; settings go by keyword. Got {function!r}")


def is_marked(function: Any) -> bool:
    """Whether it is one of our wrappers, and has not just copied our mark through functools.wraps."""
    mark: object = getattr(function, "__zespan_observed__", None)
    return mark is function


def mark(wrapper: Any) -> Any:
    """Set the mark that `is_marked` checks."""
    wrapper.__zespan_observed__ = wrapper
    return wrapper


def traced(function: Callable[..., Any], host: Host[Any], settings: Mapping[str, Any]) -> Callable[..., Any]:
    """Wrap `function` so that each call is one invocation. Its kind, name and signature stay the same.

    A coroutine's invocation lasts until it has been awaited. A generator's lasts from the first item until it is
    exhausted, closed or discarded, and only the production of its items is in the trace.
    """
    tracer = Tracer(host, settings, function)
    kind = aio.kind(function)
    wrapper: Any
    if kind == "coroutine":
        wrapper = _coroutine(function, tracer)
    elif kind == "":
        wrapper = _function(function, tracer)
    else:
        from . import generators

        wrap = generators.generator if kind == "generator" else generators.async_generator
        wrapper = wrap(function, tracer.open_call)
    return functools.update_wrapper(wrapper, function)


def _function(function: Callable[..., Any], tracer: Tracer[Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = tracer.open_call(args, kwargs)
        return function(*args, **kwargs) if scope is None else call(scope, function, args, kwargs)

    return wrapper


def _coroutine(function: Callable[..., Any], tracer: Tracer[Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if tracer.host.reads_ahead:
            await tracer.read_ahead(args, kwargs)
        scope = tracer.open_call(args, kwargs)
        return await (function(*args, **kwargs) if scope is None else call_async(scope, function, args, kwargs))

    return wrapper


def call(scope: Scope, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a function in a scope that has not begun."""
    try:
        try:
            scope.begin()
            result = function(*args, **kwargs)
        except BaseException as error:
            scope.raised(error)
            raise
        return scope.returned(result)
    finally:
        scope.leave()


async def call_async(
    scope: Scope, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Call and await a function in a scope that has not begun."""
    try:
        try:
            scope.begin()
            result = await function(*args, **kwargs)
        except BaseException as error:
            await scope.raised_async(error)
            raise
        return await scope.returned_async(result)
    finally:
        scope.leave()


class Tracer(Reads[Request]):
    """Opens invocations of one host, with the settings of one decorator.

    `function` names invocations for which the host has no name. An opened invocation has no effect to undo until
    `begin`. `settings` apply to the process; the functions that read users and sessions belong to the decorator.
    """

    __slots__ = ("_function", "_readers", "host", "settings")

    def __init__(
        self, host: Host[Request], settings: Mapping[str, Any], function: Callable[..., Any] | None = None
    ) -> None:
        self.host, self._function = host, function
        self.settings, self._readers = dict(settings), dict[str, Any]()
        for name in _settings.READERS:
            if name in settings:
                self._readers[name] = self.settings.pop(name)

    def open(self, request: Request) -> ActiveInvocation | None:
        """Open an invocation for a request. None if telemetry is off or fails, or if it is inside an invocation."""
        try:
            container = start(self.settings)
            return None if container is None else self._opened(container, request)
        except Exception as error:
            contain(error, "the start of an invocation")
        return None

    def open_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Scope | None:
        """Open an invocation for a call of a function, with the scope that follows its result."""
        try:
            container = start(self.settings)
            if container is not None:
                request = self.host.request(args, kwargs)
                active = self._opened(container, request)
                return None if active is None else self.host.scope(active, request)
        except Exception as error:
            contain(error, "the start of an invocation")
        return None

    async def read_ahead(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Await what the host needs to read the arguments of an `async def` function."""
        with Guarded("the start of an invocation"):
            if start(self.settings) is not None:
                await self.host.read_ahead(args, kwargs)

    def _opened(self, container: Container, request: Request) -> ActiveInvocation | None:
        invocation = self.host.read(request)
        if invocation is None:
            return None
        if not invocation.name and self._function is not None:
            name = str(getattr(self._function, "__name__", "")).strip("<>")
            invocation = invocation.replaced(name=name or "function")
        if _is_nested(self.host, container, invocation.id):
            return None
        active = ActiveInvocation(self.host, container, invocation)
        if self._readers:
            from . import audience

            audience.put(self._readers, lambda: self.host.subject(request), active.span)
        return active


def _is_nested(host: Host[Any], container: Container, id: str | None) -> bool:
    """Whether this call is inside the current invocation, such as a decorated function called by another."""
    if not host.one_at_a_time:
        # The current span is not enough: a server may begin a request in the context of the previous one.
        here = _trace.current()
        around = here.root.invocation() if here is not None else None
        return around is not None and around.container is container
    # A generator that an older invocation left running, or that is not being read, does not contain this call.
    others = [other for other in container.under_way() if not other.is_paused()] if container.active else []
    return any(id is None or other.invocation.id is None or other.invocation.id == id for other in others)
