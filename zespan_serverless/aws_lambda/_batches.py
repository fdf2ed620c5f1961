"""Events that are batches: which records one holds, and where in one are its id, its subject, its producer's trace.

Every source's own page is listed beside an example in tests/events/aws_lambda/index.json. A path is keys with slashes
between them, and 0 for the first of a list.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .._base import Value
from .._base.guard import Guarded, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT_MAX = 1_024  # characters of an attribute
_PARSED_MAX = 262_144  # characters of JSON in strings that are parsed for the traces of one event: 1.5 ms or so
_HEADERS_READ = 512

_OPERATIONS = {
    **dict.fromkeys(("insert", "objectcreated"), "insert"),
    **dict.fromkeys(("modify", "update", "replace"), "edit"),
    **dict.fromkeys(("remove", "delete", "objectremoved", "lifecycleexpiration"), "delete"),
}

# OpenTelemetry's word for INSERT and `ObjectCreated:Put`; a key of S3's is URL encoded, a space as a plus
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
_CONVERTED: dict[str, Callable[[str], str | None]] = {
    "faas.document.operation": lambda name: _OPERATIONS.get(name[:64].partition(":")[0].lower()),
    "aws.s3.key": lambda key: unquote_plus(key[: 3 * TEXT_MAX]),
    "faas.document.name": lambda key: unquote_plus(key[: 3 * TEXT_MAX]),
}


class Kind(Value):
    """A source of records, and where in one is what."""

    __slots__ = ("arn", "called", "field", "message", "name", "record", "source", "system", "trace", "trigger")

    def __init__(
        self,
        source: str,
        trigger: str,
        system: str = "",  # messaging.system
        field: str = "Records",  # of the event, that holds the records: a list, or lists by topic or queue
        arn: str = "eventSourceARN",  # in a record, if the event has no eventSourceArn
        name: str = "",  # of queue, topic, table or bucket, in a record; else it is in the ARN
        called: str = "messaging.destination.name",  # the name's attribute
        trace: str = "",  # the producer's traceparent, in a record
        message: str = "",  # a text that may be JSON of AWS's making, or have a traceparent on top
        record: Mapping[str, str] = {},  # attributes of one record
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
        trace="messageAttributes/traceparent/stringValue",
        message="body",
        record={"messaging.message.id": "messageId"},
    ),
    "aws:sns": Kind(
        "sns",
        "pubsub",
        "aws.sns",
        arn="Sns/TopicArn",
        trace="Sns/MessageAttributes/traceparent/Value",
        message="Sns/Message",
        record={"messaging.message.id": "Sns/MessageId", "aws.sns.topic.arn": "Sns/TopicArn"},
    ),
    "aws:kinesis": Kind(
        "kinesis",
        "pubsub",
        "aws_kinesis",  # OpenTelemetry has no word for it
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
        trace="properties/traceparent",
        record={"messaging.message.id": "messageID"},
    ),
    "aws:rmq": Kind(
        "rabbitmq",
        "pubsub",
        "rabbitmq",
        "rmqMessagesByQueue",
        trace="basicProperties/headers/traceparent",
        record={"messaging.message.id": "basicProperties/messageId"},
    ),
    "aws:dynamodb": Kind(
        "dynamodb",
        "datasource",
        called="faas.document.collection",
        trace="dynamodb/NewImage/traceparent/S",
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

# As AWS's libraries for Go and Rust have them, and older versions of Powertools.
_KINDS["aws:mq"], _KINDS["aws:SelfManagedKafka"] = _KINDS["aws:amq"], _KAFKA


class Batch:
    """The records of an event, of whatever number."""

    def __init__(self, kind: Kind, lists: list[list[Any]], arn: str | None, name: str | None) -> None:
        self.kind, self.arn, self.name = kind, arn, name
        self._lists = lists

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._lists)

    def __len__(self) -> int:
        return sum(map(len, self._lists))

    def attributes(self) -> dict[str, object]:
        """What is true of all of them."""
        kind, name = self.kind, self.name
        about: dict[str, object] = {
            "aws.lambda.event_source": kind.source,
            "aws.lambda.event_source_arn": self.arn,
            kind.called: name,
        }
        if kind.system:
            about["messaging.system"] = kind.system
            about["messaging.operation.type"] = "process"
        if kind.source == "kinesis":
            about["aws.kinesis.stream_name"] = name
        tables = {"aws.dynamodb.table_names": [name]} if kind.source == "dynamodb" and name else {}
        return texts(about) | tables

    def one(self, record: object) -> dict[str, object]:
        """What is true of one of them."""
        kind = self.kind
        found = texts({name: at(record, path) for name, path in kind.record.items()})
        if kind.source == "kinesis":
            found = texts({"messaging.message.id": at(record, "sequenceNumber")}) | found
        if kind.name:
            found |= texts({kind.called: at(record, kind.name)})
        return texts(
            {
                name: _CONVERTED[name](value) if name in _CONVERTED and isinstance(value, str) else value
                for name, value in found.items()
            }
        )

    def message(self, record: object) -> object:
        """The text that a record brings."""
        said = at(record, self.kind.message)
        return at(record, "data") if said is None and self.kind.source == "kinesis" else said  # of a pipe: not nested

    def traceparent(self, record: object, parser: Parser) -> object:
        """The producer's, as it is written in the record."""
        # An item keeps the attribute of the trace that inserted it, when others change it.
        if self.kind.source == "dynamodb" and at(record, "eventName") != "INSERT":
            return None
        value = at(record, self.kind.trace)
        if isinstance(value, list):  # Kafka's headers: [{name: [byte, ...]}, ...]
            headers = value[:_HEADERS_READ]
            value = next((h["traceparent"] for h in headers if isinstance(h, dict) and "traceparent" in h), None)
        elif isinstance(value, dict):  # RabbitMQ's: {name: {"bytes": [byte, ...]}}
            value = value.get("bytes")
        if isinstance(value, list):
            value = _ascii(value)
        return text(value) or parser.trace_in(self.message(record), encoded=self.kind.source == "kinesis")


def plain(event: object) -> object:
    """An event or a record as Lambda sent it, its top level a copy: what a data class or a pydantic model was made of.

    Decorators above ours hand these out. What a model has left out is not known.
    """
    if type(event) is dict:
        return dict(event)
    try:
        if isinstance(event, Mapping):
            return dict(event)
    except Exception as error:
        pass_on(error)
    dump = getattr(type(event), "model_dump", None)  # of the class: a mock has everything
    for mode in ("json", "python") if callable(dump) else ():  # the second keeps bytes that are no text
        try:
            return dump(event, mode=mode, by_alias=True, exclude_unset=True, warnings=False)  # type: ignore[misc]
        except Exception as error:
            pass_on(error)
    return event


def batch(event: object) -> Batch | None:
    """An event's records; None if it has none, or from a source unknown. A list is what EventBridge Pipes sends."""
    held = event.get("Records") if isinstance(event, dict) else event
    kind = (_kind(held[0]) if isinstance(held, list) and held else None) or _kind(event)
    if kind is None:
        return None
    if isinstance(event, dict):
        held = event.get(kind.field)
    lists = [part for part in (held.values() if isinstance(held, dict) else (held,)) if isinstance(part, list)]
    first = next(chain.from_iterable(lists), None)
    arn = text(at(event, "eventSourceArn")) or text(at(first, kind.arn)) or text(at(first, "eventSourceArn"))
    name = at(first, kind.name) if kind.name else _name(arn)
    if kind.source == "rabbitmq":
        queue = next(iter(held), "") if isinstance(held, dict) else at(first, "eventSourceKey")
        name = str(queue or "").partition("::")[0]  # `queue::virtual host`
    return Batch(kind, lists, arn, text(name))


def records(event: object) -> Iterator[Any]:
    """Every record of an event, of whatever source; those of a data class or a model as it hands them out."""
    if not isinstance(event, (dict, list)):
        said = plain(event)
        if said is event:
            return iter(())
        for name in ("records", "Records", "messages", "rmq_messages_by_queue"):
            held = getattr(event, name, None)
            if isinstance(held, Iterable):
                return chain.from_iterable(held.values()) if isinstance(held, dict) else iter(held)
        event = said
    found: Batch | None = None
    with Guarded("the records of an event"):  # they are the user's to work on, whatever we make of them
        found = batch(event)
    if found is not None:
        return iter(found)
    held = event.get("Records") if isinstance(event, dict) else event
    return iter(held if isinstance(held, list) else ())


def _kind(about: object) -> Kind | None:
    """By the name of the source, which is in each record or in the event itself. SNS writes EventSource."""
    names = (about.get("eventSource"), about.get("EventSource")) if isinstance(about, dict) else ()
    return next((_KINDS[name] for name in names if isinstance(name, str) and name in _KINDS), None)


class Parser:
    """Finds `traceparent` in JSON that is text in an event: what has none is not parsed, and no event without end."""

    def __init__(self) -> None:
        self._left = _PARSED_MAX

    def trace_in(self, said: object, *, encoded: bool = False) -> object:
        marks = _ENCODED if encoded else _PLAIN
        if not isinstance(said, str) or len(said) > self._left or not any(mark in said for mark in marks):
            return None
        self._left -= len(said)
        try:
            return carried(parsed(binascii.a2b_base64(said).decode() if encoded else said))
        except ValueError:
            return None


def _base64_mark(offset: int) -> str:
    """What `"traceparent"` always is in base64 when it begins `offset` bytes after a multiple of three."""
    coded = binascii.b2a_base64(b"?" * offset + b'"traceparent"').decode()
    return coded[-(-offset * 8 // 6) : (offset + 13) * 8 // 6]


_PLAIN = ('"traceparent"', '\\"traceparent\\"')
_ENCODED = (_base64_mark(0), _base64_mark(1), _base64_mark(2))

# On top, in EventBridge's detail, in SNS's attributes, in Step Functions' input.
_CARRIERS = [
    (path.partition("/")[0], path)
    for path in (
        "traceparent",
        "detail/traceparent",
        "MessageAttributes/traceparent/Value",
        "Input/traceparent",
        "Execution/Input/traceparent",
        "Context/Execution/Input/traceparent",
    )
]


def carried(message: object) -> object:
    """The `traceparent` that a message carries, as it is written there."""
    if not isinstance(message, dict):
        return None
    found = (at(message, path) for first, path in _CARRIERS if first in message)
    value = next((value for value in found if value is not None), None)
    if value is None and message.get("Type") == "Notification":  # what EventBridge, or the sender, has put into SNS
        inner = message.get("Message")
        value = carried(parsed(inner)) if isinstance(inner, str) and _PLAIN[0] in inner else None
    return value


def parsed(said: str) -> object:
    """What a text says in JSON; None if it does not."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def at(value: object, path: str) -> object:
    """What is at a path; None if there is no such thing, or no path."""
    if not path:
        return None
    for key in path.split("/"):
        if isinstance(value, dict):
            value = value.get(key)
        elif key == "0" and isinstance(value, list) and value:
            value = value[0]
        else:
            return None
    return value


def text(value: object) -> str | None:
    """A text, cut; None for anything else, and for an empty one."""
    return value[:TEXT_MAX] if isinstance(value, str) and value else None


def texts(attributes: Mapping[str, object]) -> dict[str, object]:
    """Those that are texts, cut."""
    return {name: value[:TEXT_MAX] for name, value in attributes.items() if isinstance(value, str) and value}


def _ascii(numbers: list[Any]) -> str | None:
    """Text that is given as bytes."""
    try:
        return bytes(numbers[:TEXT_MAX]).decode("ascii")
    except (ValueError, TypeError):
        return None


def _name(arn: str | None) -> str | None:
    """`orders` of `arn:aws:sqs:us-east-1:123456789012:orders`, and of `...:table/orders/stream/...`."""
    parts = (arn or "").split(":", 5)
    if len(parts) < 6:
        return None
    return parts[5].split("/", 2)[1] if "/" in parts[5] else parts[5]
