"""Adds the trace context to calls of boto3 and aiobotocore, where AWS forwards it to a receiver.

SQS and SNS have attributes for it, EventBridge has `Detail`, and a Lambda invocation has the client context. This
package and others read it there. If it does not fit it is left out, so that the call succeeds as it would without.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from .allowed import allowed, headers_beside
from .patching import change_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from .patching import Arguments

    Params = Mapping[str, Any]

# SNS delivers nothing to a raw subscription if there are more attributes than SQS accepts.
ATTRIBUTES_MAX = 10
SIZE_MAX = 262_144
"""Maximum bytes of all messages in a call: the limit of SNS and EventBridge, and the default limit of queues."""
CONTEXT_MAX = 3_583
"""Characters of a client context in base64: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html."""


def patch(module: ModuleType) -> None:
    """Patch the method that all calls of clients in this module use."""
    for owner in ("BaseClient", "AioBaseClient"):
        found = vars(module).get(owner)
        if found is not None:
            change_arguments(found, "_make_api_call", _call)


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    where = allowed()
    if where is None or len(args) != 3:
        return args, kwargs
    client, operation, params = args
    service = client.meta.service_model.service_name
    change = _CHANGES.get((service, operation))
    if change is None or not where.service(service):
        return args, kwargs
    return (client, operation, change(params)), kwargs


def _message(text: str) -> Callable[[Params], Params]:
    """Return a call that sends one message. `text`: the parameter with its text."""
    return lambda params: _with_attributes([params], text)[0]


def _messages(field: str, text: str) -> Callable[[Params], Params]:
    """Return a call that sends several messages, in this parameter."""
    return lambda params: (
        {**params, field: _with_attributes(params[field], text)} if isinstance(params[field], (list, tuple)) else params
    )


def _with_attributes(messages: Sequence[Params], text: str) -> list[Params]:
    room = SIZE_MAX - sum(_size(message, text) for message in messages)
    changed: list[Params] = []
    for message in messages:
        attributes = dict(message.get("MessageAttributes", {}))  # None is an error, which the SDK reports
        is_sms = "PhoneNumber" in message
        for members in [] if is_sms else _fewer(headers_beside(set(attributes))):
            size = sum(len(name) + len("String") + len(value) for name, value in members.items())
            if len(attributes) + len(members) <= ATTRIBUTES_MAX and size <= room:
                for name, value in members.items():
                    attributes[name] = {"DataType": "String", "StringValue": value}
                room -= size
                break
        changed.append({**message, "MessageAttributes": attributes} if attributes else message)
    return changed


def _size(message: Params, text: str) -> int:
    """Return the bytes that count towards the limit: of the text, and of each attribute's name, type and value."""
    values = [message.get(text), message.get("Subject")]
    for name, attribute in (message.get("MessageAttributes") or {}).items():
        values += [name, *attribute.values()]
    return sum(map(_bytes, values))


def _bytes(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace")) if len(value) <= SIZE_MAX else len(value)
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def _put_events(params: Params) -> Params:
    """Add the headers at the beginning of `Detail`, whose JSON is otherwise kept as it is written."""
    entries: Sequence[Params] = params["Entries"]
    if not isinstance(entries, (list, tuple)):
        return params
    fields = ("Source", "DetailType", "Detail", "EventBusName", "TraceHeader")
    room = SIZE_MAX - sum(_bytes(entry.get(field)) for entry in entries for field in fields)
    room -= sum(_bytes(resource) for entry in entries for resource in entry.get("Resources") or ())
    changed: list[Params] = []
    for entry in entries:
        detail = entry.get("Detail")
        known = _object(detail)
        if isinstance(detail, str) and known is not None:
            for members in _fewer(headers_beside(set(known))):
                start = json.dumps(members)[:-1] + (", " if known else "")
                if len(start) <= room:
                    room -= len(start)
                    entry = {**entry, "Detail": start + detail.lstrip()[1:]}
                    break
        changed.append(entry)
    return {**params, "Entries": changed}


def _invoke(params: Params) -> Params:
    """Add the client context, which Lambda passes to functions that are invoked synchronously."""
    if params.get("InvocationType", "RequestResponse") != "RequestResponse":
        return params
    given = params.get("ClientContext", "")
    context = {} if given == "" else _object(given, encoded=True)
    custom = context.get("custom", {}) if context is not None else None
    if context is None or not isinstance(custom, dict):
        return params
    for members in _fewer(headers_beside(set(custom))):
        text = json.dumps({**context, "custom": {**custom, **members}})
        encoded = base64.b64encode(text.encode()).decode()
        if len(encoded) <= CONTEXT_MAX:
            return {**params, "ClientContext": encoded}
    return params


def _object(text: Any, *, encoded: bool = False) -> dict[str, Any] | None:
    """Parse a JSON object; None for any other value or text. `encoded`: in base64."""
    try:
        value = json.loads(base64.b64decode(text) if encoded else text)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _fewer(headers: dict[str, str]) -> list[dict[str, str]]:
    """Yield these headers, and then fewer and fewer of them: baggage is removed first, `traceparent` last."""
    names = list(headers)
    return [{name: headers[name] for name in names[:count]} for count in range(len(names), 0, -1)]


_CHANGES: dict[tuple[str, str], Callable[[Params], Params]] = {
    ("sqs", "SendMessage"): _message("MessageBody"),
    ("sqs", "SendMessageBatch"): _messages("Entries", "MessageBody"),
    ("sns", "Publish"): _message("Message"),
    ("sns", "PublishBatch"): _messages("PublishBatchRequestEntries", "Message"),
    ("events", "PutEvents"): _put_events,
    ("lambda", "Invoke"): _invoke,
    ("lambda", "InvokeWithResponseStream"): _invoke,
}
