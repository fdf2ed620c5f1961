"""Batch events: the records that an event holds, and where each kind of record has its id, name and trace context.

tests/events/aws_lambda/index.json has an example for each source, with its documentation. A path in a record consists
of keys separated by slashes; 0 is the first item of a list. `{}` stands for `traceparent`, `tracestate` and `baggage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .._base import Value
from .._base.guard import Guarded
from ._reading import TEXT_MAX, dig, only_texts, text, unwrap_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OPERATIONS = {
    **dict.fromkeys(("insert", "objectcreated"), "insert"),
    **dict.fromkeys(("modify", "update", "replace"), "edit"),
    **dict.fromkeys(("remove", "delete", "objectremoved", "lifecycleexpiration"), "delete"),
}

# Attributes whose value is converted. Operations like INSERT and `ObjectCreated:Put` become OpenTelemetry's; S3's keys
# are URL encoded, with a plus for a space
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
_CONVERTED: dict[str, Callable[[str], str | None]] = {
    "faas.document.operation": lambda name: _OPERATIONS.get(name[:64].partition(":")[0].lower()),
    "aws.s3.key": lambda key: unquote_plus(key[: 3 * TEXT_MAX]),
    "faas.document.name": lambda key: unquote_plus(key[: 3 * TEXT_MAX]),
}


class Kind(Value):
    """One source of records, and where its records have their fields."""

    __slots__ = ("arn", "called", "field", "message", "name", "record", "source", "system", "trace", "trigger")

    def __init__(
        self,
        source: str,
        trigger: str,
        system: str = "",  # messaging.system
        field: str = "Records",  # field of the event with the records: a list, or lists by topic or queue
        arn: str = "eventSourceARN",  # path in a record, used if the event has no eventSourceArn
        name: str = "",  # path in a record to the name of queue, topic, table or bucket; default: taken from the ARN
        called: str = "messaging.destination.name",  # the attribute that gets this name
        trace: str = "",  # path in a record to the producer's trace context
        message: str = "",  # path to a text that may be an AWS service's JSON, or JSON with a traceparent
        record: Mapping[str, str] = {},  # attributes of one record, and their paths
    ) -> None:
        self.source = source
        self.trigger = trigger
        self.system = system
        self.field = field
        self.arn = arn
        self.name = name
        self.called = called
        self.trace = trace
        self.message = message
        self.record = record


_KAFKA = Kind("kafka", "pubsub", "kafka", "records", name="topic", trace="headers")

_KINDS = {
    "aws:sqs": Kind(
        "sqs",
        "pubsub",
        "aws_sqs",
        trace="messageAttributes/{}/stringValue",
        message="body",
        record={"messaging.message.id": "messageId"},
    ),
    "aws:sns": Kind(
        "sns",
        "pubsub",
        "aws.sns",
        arn="Sns/TopicArn",
        trace="Sns/MessageAttributes/{}/Value",
        message="Sns/Message",
        record={"messaging.message.id": "Sns/MessageId", "aws.sns.topic.arn": "Sns/TopicArn"},
    ),
    "aws:kinesis": Kind(
        "kinesis",
        "pubsub",
        "aws_kinesis",  # not defined by OpenTelemetry
        message="kinesis/data",
        record={"messaging.message.id": "kinesis/sequenceNumber"},
    ),
    "aws:kafka": Kind("msk", "pubsub", "kafka", "records", name="topic", trace="headers"),
    "SelfManagedKafka": _KAFKA,
    "aws:amq": Kind(
        "activemq",
        "pubsub",
        "activemq",
        "messages",
        name="destination/physicalName",
        trace="properties/{}",
        record={"messaging.message.id": "messageID"},
    ),
    "aws:rmq": Kind(
        "rabbitmq",
        "pubsub",
        "rabbitmq",
        "rmqMessagesByQueue",
        trace="basicProperties/headers/{}",
        record={"messaging.message.id": "basicProperties/messageId"},
    ),
    "aws:dynamodb": Kind(
        "dynamodb",
        "datasource",
        called="faas.document.collection",
        trace="dynamodb/NewImage/{}/S",
        record={"faas.document.operation": "eventName"},
    ),
    "aws:s3": Kind(
        "s3",
        "datasource",
        arn="s3/bucket/arn",
        name="s3/bucket/name",
        called="aws.s3.bucket",
        record={
            "aws.s3.key": "s3/object/key",
            "faas.document.collection": "s3/bucket/name",
            "faas.document.name": "s3/object/key",
            "faas.document.operation": "eventName",
            "faas.document.time": "eventTime",
        },
    ),
    "aws:docdb": Kind(
        "docdb",
        "datasource",
        field="events",
        name="event/ns/coll",
        called="faas.document.collection",
        record={"db.namespace": "event/ns/db", "faas.document.operation": "event/operationType"},
    ),
    "aws:ses": Kind("ses", "other"),
    "aws:codecommit": Kind("codecommit", "other", called="vcs.repository.name"),
}

# Names that AWS's libraries for Go and Rust use, and older versions of Powertools.
_KINDS["aws:mq"], _KINDS["aws:SelfManagedKafka"] = _KINDS["aws:amq"], _KAFKA


class Batch:
    """The records of one event."""

    def __init__(self, kind: Kind, lists: list[list[Any]], arn: str | None, name: str | None) -> None:
        self.kind, self.arn, self.name = kind, arn, name
        self._lists = lists

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._lists)

    def __len__(self) -> int:
        return sum(map(len, self._lists))

    def attributes(self) -> dict[str, object]:
        """Return the attributes that all records share."""
        kind, name = self.kind, self.name
        shared: dict[str, object] = {
            "aws.lambda.event_source": kind.source,
            "aws.lambda.event_source_arn": self.arn,
            kind.called: name,
        }
        if kind.system:
            shared["messaging.system"] = kind.system
            shared["messaging.operation.type"] = "process"
        if kind.source == "kinesis":
            shared["aws.kinesis.stream_name"] = name
        tables = {"aws.dynamodb.table_names": [name]} if kind.source == "dynamodb" and name else {}
        return only_texts(shared) | tables

    def one(self, record: object) -> dict[str, object]:
        """Return the attributes of one record that the others need not share."""
        kind = self.kind
        found = only_texts({name: dig(record, path) for name, path in kind.record.items()})
        if kind.source == "kinesis":
            found = only_texts({"messaging.message.id": dig(record, "sequenceNumber")}) | found
        if kind.name:
            found |= only_texts({kind.called: dig(record, kind.name)})
        return only_texts(
            {
                name: _CONVERTED[name](value) if name in _CONVERTED and isinstance(value, str) else value
                for name, value in found.items()
            }
        )

    def message(self, record: object) -> object:
        """Return the text of a record's message; None if it has none."""
        message = dig(record, self.kind.message)
        if message is None and self.kind.source == "kinesis":
            return dig(record, "data")  # EventBridge Pipes do not nest it
        return message


def batch(event: object) -> Batch | None:
    """Return the records of an event; None if it has none of a known source. EventBridge Pipes send a list."""
    field = event.get("Records") if isinstance(event, dict) else event
    kind = (_kind(field[0]) if isinstance(field, list) and field else None) or _kind(event)
    if kind is None:
        return None
    if isinstance(event, dict):
        field = event.get(kind.field)
    lists = [part for part in (field.values() if isinstance(field, dict) else (field,)) if isinstance(part, list)]
    first = next(chain.from_iterable(lists), None)
    arn = text(dig(event, "eventSourceArn")) or text(dig(first, kind.arn)) or text(dig(first, "eventSourceArn"))
    name = dig(first, kind.name) if kind.name else _name(arn)
    if kind.source == "rabbitmq":
        queue = next(iter(field), "") if isinstance(field, dict) else dig(first, "eventSourceKey")
        name = str(queue or "").partition("::")[0]  # `queue::virtual host`
    return Batch(kind, lists, arn, text(name))


def records(event: object) -> Iterator[Any]:
    """Return every record of an event, from any source. Data classes and models return their own record objects."""
    if not isinstance(event, (dict, list)):
        unwrapped = unwrap_event(event)
        if unwrapped is event:
            return iter(())
        for name in ("records", "Records", "messages", "rmq_messages_by_queue"):
            field = getattr(event, name, None)
            if isinstance(field, Iterable):
                return chain.from_iterable(field.values()) if isinstance(field, dict) else iter(field)
        event = unwrapped
    known: Batch | None = None
    with Guarded("the records of an event"):  # the user gets the records even if we fail
        known = batch(event)
    if known is not None:
        return iter(known)
    field = event.get("Records") if isinstance(event, dict) else event
    return iter(field if isinstance(field, list) else ())


def _kind(value: object) -> Kind | None:
    """Return the kind of a record or an event, by the name of its source. SNS writes EventSource."""
    if isinstance(value, dict):
        for field in ("eventSource", "EventSource"):
            name = value.get(field)
            if isinstance(name, str) and name in _KINDS:
                return _KINDS[name]
    return None


def _name(arn: str | None) -> str | None:
    """Return `orders` for `arn:aws:sqs:us-east-1:123456789012:orders` and for `...:table/orders/stream/...`."""
    parts = (arn or "").split(":", 5)
    if len(parts) < 6:
        return None
    return parts[5].split("/", 2)[1] if "/" in parts[5] else parts[5]
