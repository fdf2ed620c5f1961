"""A queue of SQS: one message for each batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.exporters.stores import aws
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, events_of, from_text, open_store
from zespan_serverless.exporters.stores.sqs import Queue

pytestmark = pytest.mark.slow  # moto

OF = {"exporter": "zespan", "content_type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with aws.aws_server() as url:
        yield url


@pytest.fixture
def queue(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's own client, beside an empty queue."""
    aws.use(server, monkeypatch)
    client = aws.client("sqs", server)
    url = client.create_queue(QueueName="queue")["QueueUrl"]
    yield client
    client.delete_queue(QueueUrl=url)


@pytest.mark.parametrize("url", ["sqs://queue", "sqs://sqs.eu-west-1.amazonaws.com/123456789012/queue"])
def test_a_batch_is_a_message(url: str, queue: Any) -> None:
    """Its body is the batch in base64."""
    assert StoreExporter(open_store(url), OF).send([b'{"a":1}'], 20.0) == Outcome("delivered")
    where = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    (message,) = queue.receive_message(QueueUrl=where)["Messages"]
    assert events_of(from_text(message["Body"]))[1] == [b'{"a":1}']


def test_what_was_put_is_listed_read_and_deleted(queue: Any) -> None:
    """More than one request of messages; what was deleted is gone from the queue."""
    store = open_store("sqs://queue")
    for number in range(12):
        store.put(b"%d" % number, str(number), 20.0)
    found = {name: store.get(name) for name in store.list()}
    assert sorted(found.values(), key=int) == [b"%d" % number for number in range(12)]
    for name in found:
        store.delete(name)
    store.close()
    assert [*open_store("sqs://queue").list()] == []


def test_what_was_not_deleted_comes_back(queue: Any) -> None:
    """At once when the store is closed, so that the next run finds it."""
    store = open_store("sqs://queue")
    store.put(b"one", "1", 20.0)
    assert len([*store.list()]) == 1
    assert [*open_store("sqs://queue").list()] == []  # others do not see it meanwhile
    store.close()
    again = open_store("sqs://queue")
    assert [again.get(name) for name in again.list()] == [b"one"]


def test_a_message_that_others_see_already(queue: Any) -> None:
    """A replay may take longer than a message is hidden: the others come back all the same."""
    store = open_store("sqs://queue")
    store.put(b"one", "1", 20.0)
    assert isinstance(store, Queue)
    store._received["gone"] = ("no handle", b"")
    assert len([*store.list()]) == 1
    store.close()
    again = open_store("sqs://queue")
    assert [again.get(name) for name in again.list()] == [b"one"]
    again.close()


def test_a_foreign_message_is_no_batch(queue: Any) -> None:
    """It is read as it is, so that its reader says what is wrong with it."""
    where = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    queue.send_message(QueueUrl=where, MessageBody="{}")
    store = open_store("sqs://queue")
    (name,) = store.list()
    with pytest.raises(ValueError, match="no batch"):
        events_of(store.get(name))
