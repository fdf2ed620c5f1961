"""Modal: `@zespan_modal`, for functions, generators and methods."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._calls import JobHost, decorated
from ._observe import wrap
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._trace.context import Carrier
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_modal"]


@overload
def zespan_modal(function: F, /) -> F: ...
@overload
def zespan_modal(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_modal(function: Any = None, /, **settings: Any) -> Any:
    """Trace every input of a Modal function, and deliver its events while the container goes on::

        @app.function()                     # or @modal.method() in a class
        @zespan_modal
        def answer(question): ...

    For `def`, `async def`, and generators of both kinds, whose input ends with the last piece; also with
    `serialized=True`. Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one.
    Results, pieces and exceptions pass through unchanged. Web applications take the ASGI or WSGI middleware instead.

    A client continues its trace if the function's first argument is a dict: `answer.remote({..., **trace_headers()})`.
    A thread sends the events, and nobody waits, because Modal does not stop a container between inputs. What is pending
    when the container ends is sent then. With `flush_mode="before_return"` a result waits for its events.
    https://modal.com/docs/guide/lifecycle-functions
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    if type(function).__module__.startswith("modal."):
        raise ConfigurationError(f"zespan_modal goes below Modal's decorators. Got {function!r}")
    code = getattr(function, "__code__", None)
    is_method = code is not None and code.co_varnames[:1] == ("self",)
    return decorated(function, settings, "zespan_modal", lambda: ModalHost(is_method=is_method))


class ModalHost(JobHost):
    """Modal's answers to the core's questions. Its request is the first argument, which is not a method's `self`."""

    keeps_cpu = True

    def __init__(self, *, is_method: bool) -> None:
        self._skipped = int(is_method)

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return super().request(args[self._skipped :], kwargs)

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        modal = sys.modules.get("modal")  # or a module of the user's that has this name
        id, call = (getattr(modal, f"current_{name}_id", _unknown)() for name in ("input", "function_call"))
        return id, request.get if isinstance(request, dict) else None, {"modal.function_call.id": call}

    def resource(self) -> Mapping[str, object]:
        """https://modal.com/docs/guide/environment_variables."""
        environ = os.environ
        return {
            "cloud.provider": "modal",
            "cloud.region": environ.get("MODAL_REGION"),
            "faas.instance": environ.get("MODAL_TASK_ID"),
            "modal.cloud_provider": environ.get("MODAL_CLOUD_PROVIDER"),
            "modal.environment": environ.get("MODAL_ENVIRONMENT"),
        }


def _unknown() -> None:
    """Stand in for a function of Modal's."""
