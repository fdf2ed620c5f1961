"""Reads the outcome of an invocation from a handler's result."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import Any

from .._base.guard import pass_on
from .._record.invocation import NO_RESULT, Result

_SIMPLE = frozenset({float, bool, type(None)})
_PLAIN = _SIMPLE | {str, int}
_CONTAINERS = frozenset({dict, list, tuple})
# Limits of the check, because the response waits for it:
_LOOKS = 1000  # values of a result
_TEXT = 100_000  # characters of a text that is not ASCII
# Beyond these, Python's JSON encoder may fail:
_DEPTH = 500  # levels of nested containers
_BITS = 14_000  # of an integer; Python converts at most 4,300 digits


def read(result: object) -> Result:
    """Return the HTTP status and the failed records in the formats of Lambda and its front ends, and the error of a
    result that fails the invocation, or reports a failure.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html (batchItemFailures)
    """
    error = _refusal(result) if _looks_odd(result) else None
    if not isinstance(result, dict):
        return NO_RESULT if error is None else Result(None, None, *error)
    attributes: dict[str, object] = {}
    failures, status = result.get("batchItemFailures"), result.get("statusCode")
    if isinstance(failures, list):
        attributes["aws.lambda.batch_item_failures"] = len(failures)
    if "aws_durable_execution_sdk_python" in sys.modules:
        durable_status, durable_error = _durable(result)
        if durable_status is not None:
            attributes["aws.lambda.durable_execution.status"] = durable_status
        error = durable_error or error
    if not isinstance(status, int) or not 100 <= status <= 599:
        if not (error or attributes):
            return NO_RESULT
        status = None
    return Result(status, attributes, *(error or ()))


def _durable(result: dict[object, object]) -> tuple[str | None, tuple[str, str] | None]:
    """Return status, and type and message of the error, from what AWS's SDK returns for a durable execution, because it
    does not raise a user's error.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html
    """
    status, error = result.get("Status"), result.get("Error")
    if not isinstance(status, str) or status not in ("PENDING", "SUCCEEDED", "FAILED"):
        return None, None
    if not {"Status", "Result", "Error"}.issuperset(result):
        return None, None
    if status != "FAILED":
        return status, None
    details = error if isinstance(error, dict) else {}
    kind = details.get("ErrorType") or "FAILED"
    return status, (kind, details.get("ErrorMessage") or kind)


def _looks_odd(result: object) -> bool:
    """Whether a result may have a value that cannot be written as JSON. Looks at the first _LOOKS values."""
    if type(result) not in _CONTAINERS:
        return not _is_plain(result)
    left: list[tuple[Any, tuple[int, ...]]] = [(result, ())]  # containers, with the ids of those around each
    looks = _LOOKS
    while left and looks > 0:
        values, around = left.pop()
        me = id(values)
        if me in around or len(around) > _DEPTH:
            return True
        if type(values) is dict:
            for key in islice(values, looks):
                if not (type(key) is str and key.isascii()) and (type(key) not in _PLAIN or not _is_plain(key)):
                    return True
            values = values.values()
        for value in islice(values, looks):
            kind = type(value)
            looks -= 1
            if kind in _CONTAINERS:
                left.append((value, (*around, me)))
            elif not (kind in _SIMPLE or (kind is str and value.isascii()) or _is_plain(value)):
                return True
    return False


def _is_plain(value: Any) -> bool:
    """Whether Lambda's runtime client is certain to accept this value, which is not a container."""
    kind = type(value)
    if kind is str:
        return value.isascii() or len(value) > _TEXT or _is_encodable(value)
    if kind is int:
        return bool(value.bit_length() <= _BITS)
    return kind in _PLAIN or kind is getattr(sys.modules.get("decimal"), "Decimal", None)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _refusal(result: object) -> tuple[str, str] | None:
    """Return type and message of the error that Lambda's runtime client will report for a result that it cannot convert
    to JSON; None if it can."""
    marshaller = sys.modules.get("awslambdaric.lambda_runtime_marshaller")
    if marshaller is None or not returns_to_runtime():
        return None
    try:
        body, _ = marshaller.LambdaMarshaller().marshal_response(result)
        if isinstance(body, str):
            body.encode()  # the runtime client encodes it when it posts it, and crashes
    except Exception as fault:
        pass_on(fault)
        return getattr(fault, "exception_type", type(fault).__name__), getattr(fault, "msg", str(fault))
    return None


def returns_to_runtime() -> bool:
    """Whether our wrapper's result goes to Lambda directly, and not through another decorator above it."""
    if "zespan_serverless.aws_lambda.auto" in sys.modules:
        return True
    module, _, name = os.environ.get("_HANDLER", "").rpartition(".")
    handler = getattr(sys.modules.get(module.replace("/", ".")), name, None)
    return handler is not None and getattr(handler, "__zespan_observed__", None) is handler
