"""Traces a handler whose code nobody touches.

Set the function's handler to `zespan_serverless.aws_lambda.auto.handler`, and ZESPAN_LAMBDA_HANDLER to the one that it
had; the layer's wrapper (AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper) does both. Settings come from the environment.

A module of the user's that cannot be imported looks in Lambda's answer and log exactly as it does without us, because
Lambda's own runtime client imports it and words the error; and it is reported.
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
    """The user's handler, decorated; what Lambda's runtime client makes of it if there is none."""
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_exception import FaultException

    name = os.environ.get(VARIABLE)
    if not name:
        raise ConfigurationError(f"set {VARIABLE} to your function's handler, such as app.handler")
    os.environ["_HANDLER"] = name  # what other tools go by
    try:
        found: Callable[..., Any] = getattr(bootstrap, "_get_handler", _imported)(name)
    except FaultException as fault:
        _report(name, fault.exception_type, fault.msg, fault)
        raise
    except Exception as error:
        within = error.__traceback__.tb_next if error.__traceback__ else None  # without this very frame
        answer = bootstrap.build_fault_result((type(error), error, within), None)
        _report(name, answer["errorType"], answer["errorMessage"], error)
        raise FaultException(answer["errorType"], answer["errorMessage"], answer["stackTrace"]) from None
    except BaseException as error:  # sys.exit() and the like: Lambda says no more than that the process has ended
        _report(name, type(error).__name__, ", ".join(map(repr, error.args)), error)
        raise
    if not callable(found):
        _report(name, "TypeError", f"{type(found).__name__!r} object is not callable")
        return found  # Lambda says so at every invocation
    try:
        return zespan_lambda(found)
    except Exception as problem:
        pass_on(problem)
        warn_once("%s runs untraced: %r", name, problem)
        return found


def _imported(name: str) -> Callable[..., Any]:
    """The handler, should a runtime client come without the function that we borrow."""
    from importlib import import_module

    module, _, attribute = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module.replace("/", ".")), attribute)
    return found


def _report(name: str, kind: str, message: str, error: BaseException | None = None) -> None:
    """Send what keeps the function from starting, now: Lambda ends this process next. Never raises."""
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
        warn_once("a function that could not start was not reported: %r", problem)


handler: Callable[..., Any] = _observed()
