"""A Lambda function that forwards parked events: its handler is `zespan_serverless.aws_lambda.forwarder.handler`.

It accepts messages of SQS, records of Kinesis, and S3's notifications about created objects, directly, through SQS or
through EventBridge. Delivered events are deleted: objects by this function, messages and records by Lambda, which
delivers the others again. For that the event source of a queue or stream must have the response type
ReportBatchItemFailures.
"""

from __future__ import annotations

import base64
import functools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .._base import log
from .._forwarding import Forwarder
from ..exporters.stores import from_text
from ..exporters.stores.s3 import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RESERVE = 1.0
"""Seconds of the function's timeout that are reserved for the response."""


class _Parcel:
    """A blob, the id of its message or record (empty: none), and what to call when it is delivered."""

    def __init__(self, message_id: str, blob: bytes, done: Callable[[], object] = tuple) -> None:
        self.message_id, self.blob, self.done = message_id, blob, done


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Forward the events in an event. Raises RuntimeError if parts fail whose source has no partial failures."""
    failed: list[tuple[str, str]] = []
    parcels = list(_parcels(event, failed))
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    outcomes = _forwarder().forward([parcel.blob for parcel in parcels], seconds)
    for parcel, outcome in zip(parcels, outcomes, strict=True):
        reason = _deleted(parcel) if outcome.verdict == "delivered" else f"{outcome.verdict}, {outcome.detail}"
        if reason:
            failed.append((parcel.message_id, reason))
    for message_id, reason in failed:
        log.line("not-forwarded", "not forwarded: %s: %s", message_id or "an object", reason)
        if not message_id:
            raise RuntimeError(f"not forwarded: {reason}")
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in dict(failed)]}


@functools.cache
def _forwarder() -> Forwarder:
    """Return the forwarder of all invocations, which keeps its connections."""
    return Forwarder({})


@functools.cache
def _bucket(name: str, region: str) -> Bucket:
    return Bucket(f"s3://{name}?region={region}" if region else f"s3://{name}", suffix="")


def _deleted(parcel: _Parcel) -> str:
    """Delete what has been delivered. Return why that failed, or an empty string."""
    try:
        parcel.done()
    except Exception as error:
        return f"delivered, but not deleted: {log.describe(error)}"
    return ""


def _parcels(event: Any, failed: list[tuple[str, str]]) -> Iterator[_Parcel]:
    """Yield the parcels in an event. Unreadable parts are added to `failed`, with the reason."""
    for record in event.get("Records") or [event]:
        message_id = ""
        try:
            kinesis = record.get("kinesis") or {}
            message_id = record.get("messageId") or kinesis.get("sequenceNumber") or ""
            if kinesis:
                yield _Parcel(message_id, base64.b64decode(kinesis["data"]))
            elif "body" in record:
                yield from _in_message(message_id, record["body"])
            else:
                yield from _in_news(message_id, record)
        except Exception as error:
            failed.append((message_id, log.describe(error)))


def _in_message(message_id: str, body: str) -> Iterator[_Parcel]:
    """Yield what a message contains: a parked batch, or a notification of S3."""
    if not body.startswith("{"):
        yield _Parcel(message_id, from_text(body))
        return
    news = json.loads(body)
    if news.get("Event") != "s3:TestEvent":
        for record in news.get("Records") or [news]:
            yield from _in_news(message_id, record)


def _in_news(message_id: str, record: Mapping[str, Any]) -> Iterator[_Parcel]:
    """Yield the object that a notification of S3 or EventBridge names."""
    news = record.get("s3") or record.get("detail")
    if not news:
        raise ValueError("this is no event of SQS, Kinesis or S3")
    store = _bucket(news["bucket"]["name"], record.get("awsRegion") or record.get("region") or "")
    key = news["object"]["key"]
    if "s3" in record:
        key = unquote_plus(key)
    try:
        blob = store.get(key)
    except KeyError:  # another process has forwarded it meanwhile
        return
    yield _Parcel(message_id, blob, lambda: store.delete(key))
