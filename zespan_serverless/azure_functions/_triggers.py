"""Describes the trigger of an invocation: its configured binding, and the value that it has delivered.

Attributes have OpenTelemetry's names where it defines one: https://opentelemetry.io/docs/specs/semconv/faas/faas-spans/
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
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .._trace.context import Caller

    Link = dict[str, str | None]

LINKS_MAX = 128  # as many as OpenTelemetry's SDKs keep on a span
_TEXT_MAX = 1024
_WRAPPED_MAX = 50  # decorators around one function
# Properties of a message that hold the traceparent of its producer: W3C's name, and those of Azure's SDKs.
# https://learn.microsoft.com/azure/service-bus-messaging/service-bus-end-to-end-tracing
_TRACEPARENTS = ("traceparent", "Diagnostic-Id", "diagnostic-id")


class _Kind(NamedTuple):
    """A kind of trigger. For messages, `system` is the messaging system, and `places` are the fields of the binding
    that may name the queue or topic."""

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
    # Last, because these may also be additional inputs of a function that has another trigger:
    "InputStream": "blob",
    "DocumentList": "cosmosDB",
    "SqlRowList": "sql",
    "MySqlRowList": "mysql",
}


def folder(function: Callable[..., Any]) -> str:
    """Return the folder of the function's source; an empty string if it is unknown."""
    code = getattr(_innermost(function), "__code__", None)
    return os.path.dirname(os.path.abspath(code.co_filename)) if code is not None else ""  # noqa: PTH100, PTH120


def find(wrapper: object, function: Callable[..., Any], directory: str | None) -> Mapping[str, Any]:
    """Return the binding of the trigger, as in function.json; empty if it cannot be found.

    The v1 model has function.json in `directory`. The v2 model has a builder that holds `wrapper`: under the function's
    name in its module, or in one of the apps and blueprints of that module.
    """
    scope: Mapping[str, Any] = getattr(_innermost(function), "__globals__", {})
    apps = [builders for value in list(scope.values()) if (builders := _plain(value, "_function_builders"))]
    candidates = [scope.get(getattr(function, "__name__", "")), *(b for builders in apps for b in builders)]
    for builder in candidates:
        built = _plain(builder, "_function")
        if built is not None and _holds(built.get_user_function(), wrapper):
            binding: Mapping[str, Any] = built.get_trigger().get_dict_repr()
            return binding
    path = f"{directory}/function.json"
    if directory is None or not os.path.exists(path):  # noqa: PTH110
        return {}
    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
        bindings = json.load(file).get("bindings", [])
    return next((binding for binding in bindings if str(binding.get("type")).lower().endswith("trigger")), {})


def describe(trigger: Mapping[str, Any], inputs: Mapping[str, Any], route_prefix: str) -> Mapping[str, object]:
    """Return the attributes of the root event that describe its trigger, including `faas.trigger` and `links`."""
    name, value = _kind_of(trigger, inputs)
    kind = _KINDS.get(name.lower(), _Kind("other"))
    common: dict[str, object] = {"faas.trigger": kind.trigger, "azure.functions.trigger": name or None}
    if kind.system is not None:
        return common | _messages(kind, trigger, value)
    if kind.trigger == "http":
        return common | _request(trigger, value, route_prefix)
    if kind.trigger == "timer":
        return common | _timer(trigger, value)
    if name.lower() == "blob":
        return common | _blob(trigger, value)
    if kind.trigger == "datasource":
        return common | _documents(trigger, value)
    return common


def entity(context: Any) -> tuple[Mapping[str, object], str]:
    """Return the attributes of an operation of a durable entity, and the operation's name."""
    id = f"@{context.entity_name}@{context.entity_key}"
    return {"azure.durable.entity.id": id, "azure.functions.trigger": "entity"}, str(context.operation_name)


def _kind_of(trigger: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the kind of the trigger, without the suffix `Trigger`, and the value that it has delivered."""
    kind = str(trigger.get("type") or "")
    if kind:
        value = inputs.get(str(trigger.get("name")))
        return kind[: -len("Trigger")] if kind.lower().endswith("trigger") else kind, value
    by_class: dict[str, Any] = {}
    for value in inputs.values():
        first = value[0] if type(value) is list and value else value
        by_class.setdefault(type(first).__name__, value)
    return next(((kind, by_class[name]) for name, kind in _BY_CLASS.items() if name in by_class), ("", None))


def _request(trigger: Mapping[str, Any], request: Any, route_prefix: str) -> dict[str, object]:
    from urllib.parse import urlsplit

    method, url = _read(request, "method"), str(_read(request, "url") or "")
    route, parts = trigger.get("route"), urlsplit(url)
    full_route = "/".join(part for part in (route_prefix.strip("/"), route.strip("/")) if part) if route else ""
    return {
        "http.request.method": method,
        "http.route": f"/{full_route}"[:_TEXT_MAX] if full_route else None,
        "url.path": parts.path[:_TEXT_MAX] or None,
        "url.scheme": parts.scheme or None,
        # Starlette's request has the address of the worker's own server, on the loopback interface.
        "server.address": parts.hostname if type(request).__name__ == "HttpRequest" else None,
    }


def _timer(trigger: Mapping[str, Any], timer: Any) -> dict[str, object]:
    return {"faas.cron": _text(trigger.get("schedule")), "azure.functions.past_due": _read(timer, "past_due")}


def _documents(trigger: Mapping[str, Any], documents: Any) -> dict[str, object]:
    """Return attributes of changed documents or rows."""
    collection = trigger.get("containerName") or trigger.get("collectionName") or trigger.get("tableName")
    return {
        "faas.document.collection": _text(collection),
        "db.namespace": _text(trigger.get("databaseName")),
        "azure.functions.batch_size": _size(documents),
    }


def _blob(trigger: Mapping[str, Any], blob: Any) -> dict[str, object]:
    path = _read(blob, "name") or trigger.get("path")
    container, _, name = str(path or "").partition("/")
    return {
        "faas.document.collection": _text(container or None),
        "faas.document.name": _text(name or None),
        "azure.functions.blob_size": _read(blob, "length"),
    }


def _messages(kind: _Kind, trigger: Mapping[str, Any], value: Any) -> dict[str, object]:
    """Return attributes of one message or a batch. Those that differ between messages are left out of a batch."""
    is_batch = isinstance(value, list)
    batch: list[Any] = value if is_batch else [] if value is None else [value]
    only = batch[0] if len(batch) == 1 else None
    place = next((trigger[name] for name in kind.places if trigger.get(name)), None)
    links = {(link["trace_id"], link["span_id"]): link for link in _links(batch)}
    return {
        "messaging.system": kind.system,
        "messaging.operation.type": "process",
        "messaging.destination.name": _text(place or _read(only, "topic") or _read(only, "source")),
        "messaging.destination.subscription.name": _text(trigger.get("subscriptionName")),
        "messaging.consumer.group.name": _text(trigger.get("consumerGroup")),
        "messaging.batch.message_count": len(batch) if is_batch else None,
        "messaging.message.id": _text(_read(only, "message_id") or _read(only, "id")),
        "messaging.message.conversation_id": _text(_read(only, "correlation_id")),
        "messaging.servicebus.message.delivery_count": _read(only, "delivery_count"),
        "azure.functions.dequeue_count": _read(only, "dequeue_count"),
        "cloudevents.event_type": _text(_read(only, "event_type") or _read(only, "type")),
        "links": list(islice(links.values(), LINKS_MAX)) or None,
        "links_omitted": max(0, len(links) - LINKS_MAX) or None,
    }


def _links(batch: list[Any]) -> Iterator[Link]:
    """Return links to the producer's span of each message."""
    of_batch = _batch_properties(batch) if len(batch) > 1 else []
    for number, message in enumerate(batch):
        producer = _producer(_properties(message, of_batch[number] if number < len(of_batch) else None))
        if producer:
            yield {"type": "producer", "trace_id": producer.trace_id, "span_id": producer.span_id}


def _producer(candidates: Iterable[Mapping[Any, Any]]) -> Caller | None:
    """Return a message's producer, from the first properties that have a valid one."""
    for properties in candidates:
        for name in _TRACEPARENTS:
            found = parse_traceparent(_decoded(properties.get(name) or properties.get(name.encode())))
            if found:
                return found
    return None


def _properties(message: Any, own: object) -> Iterator[Mapping[Any, Any]]:
    """Yield the properties that the sender has set, from every field that may hold them: of Service Bus, Event Hubs,
    Event Grid and Kafka. `own`: this message's part of the properties of its batch, if they exist.

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
    """Return the properties of each event in a batch from Event Hubs, where every event holds the metadata of all."""
    metadata = _read(batch[0], "metadata")
    properties = _parsed(metadata.get("PropertiesArray")) if isinstance(metadata, dict) else None
    return properties if isinstance(properties, list) else []


def _headers(headers: object) -> Mapping[str, object]:
    """Return the headers of a Kafka message that hold a traceparent. Kafka has a list of keys and values, in base64:
    https://learn.microsoft.com/azure/azure-functions/functions-bindings-kafka-trigger"""
    parsed = _parsed(headers)
    pairs = [pair for pair in parsed if isinstance(pair, dict)] if isinstance(parsed, list) else []
    traceparents: dict[str, object] = {}
    for pair in pairs:
        key, value = pair.get("Key"), pair.get("Value")
        if key in _TRACEPARENTS and isinstance(value, str):
            traceparents[key] = value if "-" in value else base64.b64decode(value)
    return traceparents


def _size(value: Any) -> int | None:
    """Return the number of documents or rows; None for a text and for a value without length."""
    return None if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__len__") else len(value)


def _parsed(value: Any) -> Any:
    """Parse a text as JSON, None if it is not JSON; any other value stays the same."""
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
    """Read an attribute of an input, or None. Some inputs decode attributes only now, which may fail."""
    try:
        return getattr(value, name, None)
    except Exception as error:
        pass_on(error)
        return None


def _plain(value: Any, name: str) -> Any:
    """Read an attribute from the object's own namespace, because `getattr` of a mock would create one."""
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
    """Whether `wrapper` is this function, or wraps it, possibly through other decorators."""
    for _ in range(_WRAPPED_MAX):
        if function is wrapper:
            return True
        function = getattr(function, "__wrapped__", None)
    return False
