"""Traces a handler without code changes.

Set the function's handler to `zespan_serverless.aws_lambda.auto.handler`, and ZESPAN_LAMBDA_HANDLER to the original
handler. The layer's wrapper (AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper) does both. Settings are read from the
environment.

Lambda's own runtime client imports the user's module and words its errors. So if the module cannot be imported,
Lambda's response and log are the same as without this package; the failure is also reported to the backend.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import _observe, _trace
from .._base.guard import pass_on
from .._base.log import warn_once
from .._record.record import Record
from ..errors import ConfigurationError
from . import zespan_lambda

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["handler"]

VARIABLE = "ZESPAN_LAMBDA_HANDLER"


def _observed() -> Callable[..., Any]:
    """Return the user's decorated handler. If there is none, raise what Lambda's runtime client would raise."""
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_exception import FaultException

    name = os.environ.get(VARIABLE)
    if not name:
        raise ConfigurationError(f"set {VARIABLE} to your function's handler, such as app.handler")
    os.environ["_HANDLER"] = name  # other tools read the handler's name here
    try:
        found: Callable[..., Any] = getattr(bootstrap, "_get_handler", _imported)(name)
    except FaultException as fault:
        _report(name, fault.exception_type, fault.msg, fault)
        raise
    except Exception as error:
        traceback = error.__traceback__.tb_next if error.__traceback__ else None  # without the frame of this function
        answer = bootstrap.build_fault_result((type(error), error, traceback), None)
        _report(name, answer["errorType"], answer["errorMessage"], error)
        raise FaultException(answer["errorType"], answer["errorMessage"], answer["stackTrace"]) from None
    except BaseException as error:  # sys.exit() and similar, of which Lambda reports only that the process has ended
        _report(name, type(error).__name__, ", ".join(map(repr, error.args)), error)
        raise
    if not callable(found):
        _report(name, "TypeError", f"{type(found).__name__!r} object is not callable")
        return found  # Lambda reports this at every invocation
    try:
        return zespan_lambda(found)
    except Exception as problem:
        pass_on(problem)
        warn_once("handler-untraced", "%s runs untraced: %r", name, problem)
        return found


def _imported(name: str) -> Callable[..., Any]:
    """Import the handler without the runtime client, for versions without `_get_handler`."""
    from importlib import import_module

    module, _, attribute = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module.replace("/", ".")), attribute)
    return found


def _report(name: str, kind: str, message: str, error: BaseException | None = None) -> None:
    """Send an event about the error that prevents the function from starting. Never raises.

    It is sent at once, because Lambda ends this process next.
    """
    try:
        container = _observe.start({})
        if container is not None:
            function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
            attributes = {"error.type": kind, "faas.name": function, "phase": "init"}
            record = Record(_trace.new_span(), container.resource, "general", name, attributes=attributes)
            record.fail(container.policy.error(error, message))
            container.capture(lambda: record)
            container.delivery.close_at_exit(container.settings.flush_timeout)
    except Exception as problem:
        pass_on(problem)
        warn_once("start-unreported", "a function that could not start was not reported: %r", problem)


handler: Callable[..., Any] = _observed()
