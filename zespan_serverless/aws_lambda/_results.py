"""What a handler's result says of how the invocation went."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import Any

from .._base.guard import pass_on

_PLAIN = frozenset({str, int, float, bool, type(None)})
# Limits of the check, because the response waits for it:
_LOOKS = 1000  # values of a result
_TEXT = 100_000  # characters of a text that is not ASCII
# Beyond these, Python's JSON encoder may fail:
_DEPTH = 500  # levels of nested containers
_BITS = 14_000  # of an integer; Python converts at most 4,300 digits


def describe(result: object) -> dict[str, object]:
    """HTTP status and failed records in the forms that Lambda and its front ends read, and `error.type` and
    `error.message` of a result that makes the invocation fail, or that says so (OpenTelemetry's rule: from 500 on).

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html (batchItemFailures)
    """
    attributes: dict[str, object] = {}
    if _looks_odd(result):
        attributes = _refusal(result)
    if isinstance(result, dict):
        failures, status = result.get("batchItemFailures"), result.get("statusCode")
        if isinstance(failures, list):
            attributes["aws.lambda.batch_item_failures"] = len(failures)
        if isinstance(status, int) and 100 <= status <= 599:
            attributes["http.response.status_code"] = status
            if status >= 500 and "error.type" not in attributes:
                attributes |= {"error.type": str(status), "error.message": f"HTTP {status}"}
        if "aws_durable_execution_sdk_python" in sys.modules:
            attributes |= _of_execution(result)
    return attributes


def _of_execution(result: dict[object, object]) -> dict[str, object]:
    """What AWS's SDK returns of a durable execution, in which a user's error does not come out as an exception.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html
    """
    status, error = result.get("Status"), result.get("Error")
    if status not in ("PENDING", "SUCCEEDED", "FAILED") or not {"Status", "Result", "Error"}.issuperset(result):
        return {}
    attributes: dict[str, object] = {"aws.lambda.durable_execution.status": status}
    if status == "FAILED":
        said = error if isinstance(error, dict) else {}
        attributes["error.type"] = said.get("ErrorType") or "FAILED"
        attributes["error.message"] = said.get("ErrorMessage") or said.get("ErrorType") or "FAILED"
    return attributes


def _looks_odd(result: object) -> bool:
    """Whether a result may have a value that cannot be written as JSON. Looks at the first _LOOKS values."""
    left: list[object] = [result]
    around: set[int] = set()  # ids of the containers that enclose the current value
    looks = _LOOKS
    while left and looks > 0:
        value = left.pop()
        kind = type(value)
        if kind is _Leaving:
            around.discard(value)
            continue
        looks -= 1
        if kind is dict or kind is list or kind is tuple:
            if id(value) in around or len(around) > _DEPTH:
                return True
            around.add(id(value))
            left.append(_Leaving(id(value)))
            if kind is dict:
                for key in islice(value, looks):  # type: ignore[call-overload]
                    if type(key) not in _PLAIN or not _is_plain(key, type(key)):
                        return True
                value = value.values()  # type: ignore[attr-defined]
            left.extend(islice(value, looks))  # type: ignore[call-overload]
        elif not _is_plain(value, kind):
            return True
    return False


class _Leaving(int):
    """The id of a container whose values have all been checked."""


def _is_plain(value: Any, kind: type) -> bool:
    """Whether Lambda's runtime client is certain to accept this value, which is not a container."""
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


def _refusal(result: object) -> dict[str, object]:
    """What Lambda's runtime client is going to say of a result that it cannot turn into JSON."""
    marshaller = sys.modules.get("awslambdaric.lambda_runtime_marshaller")
    if marshaller is None or not is_final():
        return {}
    try:
        body, _ = marshaller.LambdaMarshaller().marshal_response(result)
        if isinstance(body, str):
            body.encode()  # which the runtime client does when it posts it, and does not survive
    except Exception as fault:
        pass_on(fault)
        kind, message = getattr(fault, "exception_type", type(fault).__name__), getattr(fault, "msg", str(fault))
        return {"error.type": kind, "error.message": message}
    return {}


def is_final() -> bool:
    """Whether what our wrapper returns goes to Lambda as it is, and not through another decorator above it."""
    if "zespan_serverless.aws_lambda.auto" in sys.modules:
        return True
    module, _, name = os.environ.get("_HANDLER", "").rpartition(".")
    handler = getattr(sys.modules.get(module.replace("/", ".")), name, None)
    return handler is not None and getattr(handler, "__zespan_observed__", None) is handler
