"""Oracle Functions: `@zespan_oracle`, for functions of `fdk`, which also run on the Fn project's server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._calls import FunctionHost, decorated, headers, http_attributes, text
from ._observe import wrap
from ._observe.awaited import Awaited
from ._platforms import oracle
from ._platforms.platform import until
from ._record.invocation import NO_RESULT, Description, Invocation, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._observe.host import Scope
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_oracle"]


@overload
def zespan_oracle(function: F, /) -> F: ...
@overload
def zespan_oracle(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_oracle(function: Any = None, /, **settings: Any) -> Any:
    """Trace every call of an Oracle function, and deliver its events before its response leaves::

        @zespan_oracle
        def handler(ctx, data=None): ...

    For `def` and `async def`. Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown
    one. Results and exceptions pass through unchanged.

    The caller's trace is continued: from `traceparent`, otherwise from Oracle's own tracing. The response waits for the
    events for at most `flush_timeout` seconds, and never during the last `flush_reserve` seconds before the call's
    deadline, because Oracle pauses a container as soon as it is idle. With `flush_mode="after_response"` a thread sends
    them.
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    return decorated(function, settings, "zespan_oracle", OracleHost)


class OracleHost(FunctionHost[Any]):
    """Oracle Functions as a host, which reads the `ctx` of a call. A container has one call at a time.

    https://github.com/fnproject/fdk-python/blob/master/fdk/context.py
    """

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[0] if args else kwargs.get("ctx")

    def read(self, request: Any) -> Invocation:
        header = headers(_asked(request, "Headers"))
        is_http = header("fn-intent") == "httprequest"
        path = str(_asked(request, "RequestURL") or "").partition("?")[0]
        attributes = http_attributes(_asked(request, "Method"), path) if is_http else {"faas.trigger": "other"}
        return Invocation(
            text(_asked(request, "CallID")),
            text(_asked(request, "FnName")) or "",
            oracle.parent(header),
            until(_time(header("fn-deadline"))),
            lambda: Description(attributes),
        )

    def scope(self, active: ActiveInvocation, request: Any) -> Scope:
        return Awaited(active)

    def resource(self) -> Mapping[str, object]:
        return oracle.platform().attributes

    def result(self, result: Any) -> Result:
        status = getattr(result, "status_code", None)  # of fdk.response.Response
        return Result(status) if isinstance(status, int) else NO_RESULT


def _asked(context: Any, name: str) -> object:
    """Return what a method of the context gives; None if it has none, as in a direct call."""
    method = getattr(context, name, None)
    return method() if callable(method) else None


def _time(deadline: str | None) -> float | None:
    """Return seconds since the epoch. `ctx.Deadline()` makes up a deadline if a call has none."""
    try:
        time = datetime.fromisoformat(deadline or "")
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
