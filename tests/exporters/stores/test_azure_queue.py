"""A queue of Azure Storage, by the real SDK.

A server on this machine plays the service. To take Azurite, Microsoft's own emulator, set ZESPAN_TEST_AZURITE to its
URL for queues, such as http://127.0.0.1:10001.
"""

from __future__ import annotations

import base64
import os
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.storage.queue import QueueClient

from tests.exporters.stores import aws
from zespan_serverless import testing
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, events_of, from_text, open_store
from zespan_serverless.exporters.stores.azure_queue import StorageQueue

OF = {"exporter": "zespan", "content_type": "application/json"}
KEY = base64.b64encode(b"not a secret").decode()
AZURITE = os.environ.get("ZESPAN_TEST_AZURITE")
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public


class Service(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: dict[str, tuple[str, float]] = {}  # by id: text, and when it can be seen again


class Handler(BaseHTTPRequestHandler):
    """Put, get, update and delete messages, as the documentation of the REST API has them."""

    server: Any

    def do_POST(self) -> None:
        text = ElementTree.fromstring(self._body()).findtext("MessageText") or ""
        if len(text) > 65_536:
            self._answer(413, {"x-ms-error-code": "RequestBodyTooLarge"})
            return
        id_ = str(uuid.uuid4())
        self.server.messages[id_] = text, 0.0
        self._answer(201, messages=[self._entry(id_, None)])

    def do_PUT(self) -> None:
        self._body()
        if self.path.count("/") == 2:  # creates the queue
            self._answer(201)
            return
        id_ = urlsplit(self.path).path.rpartition("/")[2]
        if id_ not in self.server.messages:
            self._answer(404, {"x-ms-error-code": "MessageNotFound"})
            return
        self.server.messages[id_] = self.server.messages[id_][0], self._visible_again()
        headers = {"x-ms-popreceipt": "r", "x-ms-time-next-visible": "Fri, 09 Oct 2099 21:04:30 GMT"}
        self._answer(204, headers)

    def do_GET(self) -> None:
        now, count = time.monotonic(), int(self._query("numofmessages", "1"))
        free = [id_ for id_, (_, visible) in self.server.messages.items() if visible <= now][:count]
        for id_ in free:
            self.server.messages[id_] = self.server.messages[id_][0], self._visible_again()
        self._answer(200, messages=[self._entry(id_, self.server.messages[id_][0]) for id_ in free])

    def do_DELETE(self) -> None:
        self.server.messages.pop(urlsplit(self.path).path.rpartition("/")[2], None)
        self._answer(204)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _query(self, name: str, default: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, [default])[0]

    def _visible_again(self) -> float:
        return time.monotonic() + float(self._query("visibilitytimeout", "30"))

    def _entry(self, id_: str, text: str | None) -> str:
        times = "".join(
            f"<{name}>Fri, 09 Oct 2099 21:04:30 GMT</{name}>"
            for name in ("InsertionTime", "ExpirationTime", "TimeNextVisible")
        )
        content = "" if text is None else f"<DequeueCount>1</DequeueCount><MessageText>{text}</MessageText>"
        return f"<QueueMessage><MessageId>{id_}</MessageId><PopReceipt>r</PopReceipt>{times}{content}</QueueMessage>"

    def _answer(self, status: int, headers: dict[str, str] | None = None, messages: list[str] | None = None) -> None:
        data = b"" if messages is None else f"<QueueMessagesList>{''.join(messages)}</QueueMessagesList>".encode()
        self.send_response(status)
        for name, value in {
            "content-type": "application/xml",
            "content-length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def connection_string(url: str, account: str = "account", key: str = KEY) -> str:
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};QueueEndpoint={url}/{account}"


@pytest.fixture
def service() -> Iterator[str]:
    """The connection string of an account without messages."""
    if AZURITE:
        yield connection_string(AZURITE, "devstoreaccount1", AZURITE_KEY)
        return
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield connection_string(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def queue(service: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's own client of an empty queue."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", service)
    with QueueClient.from_connection_string(service, "parked") as client:
        client.create_queue()
        yield client
        if AZURITE:
            client.delete_queue()


def test_a_batch_is_a_message(queue: Any) -> None:
    """Its text is the batch in base64."""
    assert StoreExporter(open_store("azurequeue://parked"), OF).send([b'{"a":1}'], 20.0) == Outcome("delivered")
    (message,) = queue.receive_messages()
    assert events_of(from_text(message.content))[1] == [b'{"a":1}']


def test_the_account_of_the_function_app(service: str, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Function App has a connection string for its own use, which is taken if there is no other one."""
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AzureWebJobsStorage", service)
    assert open_store("azurequeue://parked").put(b"batch", "name", 20.0) == Outcome("delivered")


def test_what_was_put_is_listed_read_and_deleted(queue: Any) -> None:
    """More than one request of messages; what was deleted is gone from the queue."""
    store = open_store("azurequeue://parked")
    for number in range(35):
        store.put(b"%d" % number, str(number), 20.0)
    found = {name: store.get(name) for name in store.list()}
    assert sorted(found.values(), key=int) == [b"%d" % number for number in range(35)]
    for name in found:
        store.delete(name)
    store.close()
    assert [*open_store("azurequeue://parked").list()] == []


def test_what_was_not_deleted_comes_back(queue: Any) -> None:
    """At once when the store is closed, so that the next run finds it."""
    store = open_store("azurequeue://parked")
    store.put(b"one", "1", 20.0)
    assert len([*store.list()]) == 1
    assert [*open_store("azurequeue://parked").list()] == []
    store.close()
    again = open_store("azurequeue://parked")
    assert [again.get(name) for name in again.list()] == [b"one"]


def test_a_message_that_was_deleted_meanwhile(queue: Any) -> None:
    """A replay may take longer than a message is hidden: the others come back all the same."""
    store = open_store("azurequeue://parked")
    for number in range(2):
        store.put(b"%d" % number, str(number), 20.0)
    first, second = store.list()
    kept = store.get(second)
    assert isinstance(store, StorageQueue)
    queue.delete_message(store._received[first])
    store.close()
    again = open_store("azurequeue://parked")
    assert [again.get(name) for name in again.list()] == [kept]
    again.close()


def test_the_largest_batch_is_accepted_and_one_byte_more_is_not_sent(queue: Any) -> None:
    """A message has 64 KiB of text."""
    store = open_store("azurequeue://parked")
    assert store.put(b"x" * store.limit, "name", 20.0) == Outcome("delivered")
    with pytest.raises(HttpResponseError):
        store.put(b"x" * (store.limit + 1), "name", 20.0)
    assert StoreExporter(store, OF).send([os.urandom(store.limit)], 20.0).verdict == "refused"


def test_an_endpoint_that_never_answers_takes_the_time_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the timeouts of the SDK, which are a minute, nor its repetitions apply."""
    with aws.hanging_server() as mute:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(mute))
        store = open_store("azurequeue://parked")
        store.prepare(20.0)
        begun = time.monotonic()
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            store.put(b"batch", "name", 0.5)
        assert time.monotonic() - begun < 15
        store.close()


def test_without_a_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome says which variables could have one."""
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LookupError, match="AZURE_STORAGE_CONNECTION_STRING or AzureWebJobsStorage"):
        open_store("azurequeue://parked").put(b"batch", "name", 20.0)


@pytest.mark.parametrize(
    "url", ["azurequeue://", "azurequeue://a/b/c", "azurequeue://key@account/q", "azurequeue://q?sig=x"]
)
def test_what_is_no_url_of_a_queue(url: str) -> None:
    """It is a mistake in the configuration; no secret is repeated."""
    with pytest.raises(ConfigurationError, match="must be like azurequeue://queue") as raised:
        open_store(url)
    assert "sig" not in str(raised.value)


@pytest.mark.usefixtures("queue")
class TestContract(testing.ExporterContract):
    def make(self) -> StoreExporter:
        return StoreExporter(open_store("azurequeue://parked"), OF)
