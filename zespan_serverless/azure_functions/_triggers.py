"""What has triggered an invocation: the binding as it is configured, and what came through it.

Names are OpenTelemetry's where there is one: https://opentelemetry.io/docs/specs/semconv/faas/faas-spans/
"""

from __future__ import annotations

import base64
import json
import os
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.guard import pass_on
from .._trace.context import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Link = dict[str, str]

LINKS_MAX = 128  # as many as OpenTelemetry's SDKs keep on a span
_TEXT_MAX = 1024
_WRAPPED_MAX = 50
# A producer's span, in the properties of its message: W3C's name, and that of Azure's SDKs, which hold the same.
# https://learn.microsoft.com/azure/service-bus-messaging/service-bus-end-to-end-tracing
_TRACEPARENTS = ("traceparent", "Diagnostic-Id", "diagnostic-id")


class _Kind(NamedTuple):
    """A kind of trigger. `system` and `places` are for messages: who carries them, which field names their source."""

    trigger: str
    system: str | None = None
    places: tuple[str, ...] = ()


_KINDS = {
    "http": _Kind("http"),
    "timer": _Kind("timer"),
    "queue": _Kind("pubsub", "azure_storage_queue", ("queueName",)),
    "servicebus": _Kind("pubsub", "servicebus", ("topicName", "queueName")),
    "eventhub": _Kind("pubsub", "eventhubs", ("eventHubName",)),
    "kafka": _Kind("pubsub", "kafka", ("topic",)),
    "rabbitmq": _Kind("pubsub", "rabbitmq", ("queueName",)),
    "eventgrid": _Kind("pubsub", "eventgrid"),
    "daprtopic": _Kind("pubsub", "dapr", ("topic",)),
    "blob": _Kind("datasource"),
    "cosmosdb": _Kind("datasource"),
    "sql": _Kind("datasource"),
    "mysql": _Kind("datasource"),
}
_BY_CLASS = {
    "HttpRequest": "http",
    "Request": "http",  # Starlette's, of the http-fastapi extension
    "TimerRequest": "timer",
    "QueueMessage": "queue",
    "ServiceBusMessage": "serviceBus",
    "ServiceBusReceivedMessage": "serviceBus",
    "EventHubEvent": "eventHub",
    "EventData": "eventHub",
    "KafkaEvent": "kafka",
    "EventGridEvent": "eventGrid",
    "CloudEvent": "eventGrid",
    "WarmUpContext": "warmup",
    # The last, because these may as well be further inputs of a function that something else triggers:
    "InputStream": "blob",
    "DocumentList": "cosmosDB",
    "SqlRowList": "sql",
    "MySqlRowList": "mysql",
}


def folder(function: Callable[..., Any]) -> str:
    """Where the function's source is, or an empty string."""
    code = getattr(_innermost(function), "__code__", None)
    return os.path.dirname(os.path.abspath(code.co_filename)) if code is not None else ""  # noqa: PTH100, PTH120


def find(wrapper: object, function: Callable[..., Any], directory: str | None) -> Mapping[str, Any]:
    """The trigger's binding, worded as in function.json; empty if it cannot be found. `directory`: of the function.

    v1 has function.json there. v2 has a builder that holds `wrapper`: under the function's name in its module, or in
    one of the apps and blueprints of that module.
    """
    scope: Mapping[str, Any] = getattr(_innermost(function), "__globals__", {})
    apps = [builders for value in list(scope.values()) if (builders := _plain(value, "_function_builders"))]
    candidates = [scope.get(getattr(function, "__name__", "")), *(b for builders in apps for b in builders)]
    for builder in candidates:
        built = _plain(builder, "_function")
        if built is not None and _holds(built.get_user_function(), wrapper):
            found: Mapping[str, Any] = built.get_trigger().get_dict_repr()
            return found
    path = f"{directory}/function.json"
    if directory is None or not os.path.exists(path):  # noqa: PTH110
        return {}
    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
        bindings = json.load(file).get("bindings", [])
    return next((one for one in bindings if str(one.get("type")).lower().endswith("trigger")), {})


def describe(trigger: Mapping[str, Any], inputs: Mapping[str, Any], route_prefix: str) -> Mapping[str, object]:
    """The root event's attributes that tell what triggered it, `faas.trigger` among them, and its `links`."""
    kind, value = _kind_of(trigger, inputs)
    known = _KINDS.get(kind.lower(), _Kind("other"))
    said: dict[str, object] = {"faas.trigger": known.trigger, "azure.functions.trigger": kind or None}
    if known.system is not None:
        said |= _messages(known, trigger, value)
    elif known.trigger == "http":
        said |= _request(trigger, value, route_prefix)
    elif known.trigger == "timer":
        said |= {"faas.cron": _text(trigger.get("schedule")), "azure.functions.past_due": _read(value, "past_due")}
    elif kind.lower() == "blob":
        said |= _blob(trigger, value)
    elif known.trigger == "datasource":
        collection = trigger.get("containerName") or trigger.get("collectionName") or trigger.get("tableName")
        said["faas.document.collection"] = _text(collection)
        said["db.namespace"] = _text(trigger.get("databaseName"))
        said["azure.functions.batch_size"] = _size(value)
    return said


def _kind_of(trigger: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, Any]:
    """What kind of trigger it is, without the word, and what it brought."""
    kind = str(trigger.get("type") or "")
    if kind:
        value = inputs.get(str(trigger.get("name")))
        return kind[: -len("Trigger")] if kind.lower().endswith("trigger") else kind, value
    found: dict[str, Any] = {}
    for value in inputs.values():
        one = value[0] if type(value) is list and value else value
        found.setdefault(type(one).__name__, value)
    return next(((kind, found[name]) for name, kind in _BY_CLASS.items() if name in found), ("", None))


def _request(trigger: Mapping[str, Any], request: Any, route_prefix: str) -> Mapping[str, object]:
    from urllib.parse import urlsplit

    method, url = _read(request, "method"), str(_read(request, "url") or "")
    route, parts = trigger.get("route"), urlsplit(url)
    whole = "/".join(part for part in (route_prefix.strip("/"), route.strip("/")) if part) if route else ""
    return {
        "http.request.method": method,
        "http.route": f"/{whole}"[:_TEXT_MAX] if whole else None,
        "url.path": parts.path[:_TEXT_MAX] or None,
        "url.scheme": parts.scheme or None,
        # Starlette's request has come to the worker's own server, on the loopback.
        "server.address": parts.hostname if type(request).__name__ == "HttpRequest" else None,
    }


def _blob(trigger: Mapping[str, Any], blob: Any) -> Mapping[str, object]:
    path = _read(blob, "name") or trigger.get("path")
    container, _, name = str(path or "").partition("/")
    return {
        "faas.document.collection": _text(container or None),
        "faas.document.name": _text(name or None),
        "azure.functions.blob_size": _read(blob, "length"),
    }


def _messages(kind: _Kind, trigger: Mapping[str, Any], value: Any) -> Mapping[str, object]:
    many = isinstance(value, list)
    batch: list[Any] = value if many else [] if value is None else [value]
    first = batch[0] if len(batch) == 1 else None
    place = next((trigger[name] for name in kind.places if trigger.get(name)), None)
    found = {(link["trace_id"], link["span_id"]): link for link in _links(batch)}
    return {
        "messaging.system": kind.system,
        "messaging.operation.type": "process",
        "messaging.destination.name": _text(place or _read(first, "topic") or _read(first, "source")),
        "messaging.destination.subscription.name": _text(trigger.get("subscriptionName")),
        "messaging.consumer.group.name": _text(trigger.get("consumerGroup")),
        "messaging.batch.message_count": len(batch) if many else None,
        "messaging.message.id": _text(_read(first, "message_id") or _read(first, "id")),
        "messaging.message.conversation_id": _text(_read(first, "correlation_id")),
        "messaging.servicebus.message.delivery_count": _read(first, "delivery_count"),
        "azure.functions.dequeue_count": _read(first, "dequeue_count"),
        "cloudevents.event_type": _text(_read(first, "event_type") or _read(first, "type")),
        "links": list(islice(found.values(), LINKS_MAX)) or None,
        "links_omitted": max(0, len(found) - LINKS_MAX) or None,
    }


def _links(batch: list[Any]) -> Iterator[Link]:
    """The span of each message's producer."""
    several = _batch_properties(batch) if len(batch) > 1 else []
    for number, message in enumerate(batch):
        producer = None
        for properties in _properties(message, several[number] if number < len(several) else None):
            for name in _TRACEPARENTS:
                producer = producer or parse_traceparent(
                    _decoded(properties.get(name) or properties.get(name.encode()))
                )
        if producer:
            yield {"type": "producer", "trace_id": producer[0], "span_id": producer[1]}


def _properties(message: Any, own: object) -> Iterator[Mapping[Any, Any]]:
    """Where a message may have its sender's properties: of Service Bus, Event Hubs, Event Grid and Kafka.

    https://learn.microsoft.com/azure/azure-functions/functions-bindings-event-hubs-trigger#event-metadata
    """
    metadata = _read(message, "metadata") if own is None else None
    for found in (
        _read(message, "application_properties"),
        _read(message, "user_properties"),
        _read(message, "properties"),
        _read(message, "extension_attrs"),
        own,
        metadata.get("Properties") if isinstance(metadata, dict) else None,
        _headers(_read(message, "headers")),
    ):
        properties = _parsed(found)
        if isinstance(properties, dict):
            yield properties


def _batch_properties(batch: list[Any]) -> list[Any]:
    """Of a batch from Event Hubs: every event holds the metadata of them all."""
    metadata = _read(batch[0], "metadata")
    found = _parsed(metadata.get("PropertiesArray")) if isinstance(metadata, dict) else None
    return found if isinstance(found, list) else []


def _headers(headers: object) -> Mapping[str, object]:
    """Kafka's, a list of keys and values, which are base64:
    https://learn.microsoft.com/azure/azure-functions/functions-bindings-kafka-trigger"""
    parsed = _parsed(headers)
    pairs = [one for one in parsed if isinstance(one, dict)] if isinstance(parsed, list) else []
    found: dict[str, object] = {}
    for one in pairs:
        value = one.get("Value")
        if one.get("Key") in _TRACEPARENTS and isinstance(value, str):
            found[one["Key"]] = value if "-" in value else base64.b64decode(value)
    return found


def _size(value: Any) -> int | None:
    """How many documents or rows there are; nothing of a text."""
    return None if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__len__") else len(value)


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return value


def _decoded(value: object) -> object:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _text(value: object) -> str | None:
    return value[:_TEXT_MAX] if isinstance(value, str) and value else None


def _read(value: Any, name: str) -> Any:
    """An attribute that need not be there, of an object that decodes some of them only now, and may fail to."""
    try:
        return getattr(value, name, None)
    except Exception as error:
        pass_on(error)
        return None


def _plain(value: Any, name: str) -> Any:
    """An attribute of the object itself, or of its class: a mock or a lazy module would make one up."""
    try:
        return vars(value).get(name)
    except TypeError:
        return None


def _innermost(function: Any) -> Any:
    for _ in range(_WRAPPED_MAX):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    return function


def _holds(function: Any, wrapper: object) -> bool:
    """Whether `wrapper` is this function, or is somewhere below other decorators."""
    for _ in range(_WRAPPED_MAX):
        if function is wrapper:
            return True
        function = getattr(function, "__wrapped__", None)
    return False
