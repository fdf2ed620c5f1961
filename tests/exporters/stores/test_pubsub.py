"""A topic of Pub/Sub, as a server on this machine plays it by the documentation of its REST API."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.exporters.stores import aws
from tests.support import until
from zespan_serverless import testing
from zespan_serverless._http.transport import Transport
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, events_of, open_store
from zespan_serverless.exporters.stores.pubsub import Topic

OF = {"exporter": "zespan", "content_type": "application/json"}
URL = "pubsub://project/topic?subscription=parked"


class PubSub(ThreadingHTTPServer):
    """One topic with one subscription, and the address where a service account gets its tokens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.waiting: dict[str, str] = {}  # data by message id
        self.hidden: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []  # paths, and what they were authorized with
        self.status = 200
        self.tokens = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, self.headers["authorization"]))
        if self.path == "/token":
            self.server.tokens += 1
            self._answer(200, {"access_token": f"t{self.server.tokens}", "expires_in": 3600})
        elif self.server.status != 200:
            quoted = json.loads(body)["messages"][0]["data"]
            said = f"Invalid value at 'messages[0].data', \"{quoted}\""
            self._answer(self.server.status, {"error": {"status": "SAYS_THE_SERVICE", "message": said}})
        else:
            self._answer(200, self._called(self.path.partition(":")[2], json.loads(body)))

    def _called(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        pubsub = self.server
        if method == "publish":
            assert self.path == "/v1/projects/project/topics/topic:publish"
            ids = [str(len(pubsub.waiting) + number) for number, _ in enumerate(body["messages"])]
            pubsub.waiting |= {id_: message["data"] for id_, message in zip(ids, body["messages"], strict=True)}
            return {"messageIds": ids}
        assert self.path.startswith("/v1/projects/project/subscriptions/parked:")
        if method == "pull":
            free = [id_ for id_ in pubsub.waiting if id_ not in pubsub.hidden][: body["maxMessages"]]
            pubsub.hidden |= {id_: f"ack-{id_}" for id_ in free}
            messages = [{"messageId": id_, "data": pubsub.waiting[id_]} for id_ in free]
            return {"receivedMessages": [{"ackId": f"ack-{one['messageId']}", "message": one} for one in messages]}
        for handle in body["ackIds"]:
            id_ = handle.removeprefix("ack-")
            if method == "acknowledge":
                del pubsub.waiting[id_]
            elif body["ackDeadlineSeconds"] == 0:
                del pubsub.hidden[id_]
        return {}

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSub]:
    with PubSub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        yield server
        server.shutdown()
        thread.join()


def test_a_batch_is_a_message(pubsub: PubSub) -> None:
    """Its data is the batch; the emulator gets no credentials."""
    assert StoreExporter(open_store("pubsub://project/topic"), OF).send([b'{"a":1}'], 20.0) == Outcome("delivered")
    assert events_of(base64.b64decode(pubsub.waiting["0"]))[1] == [b'{"a":1}']
    assert pubsub.requests == [("/v1/projects/project/topics/topic:publish", None)]


def test_what_was_put_is_listed_read_and_deleted(pubsub: PubSub) -> None:
    """From the subscription that the URL names; more than one request of messages."""
    store = open_store(URL)
    for number in range(12):
        store.put(b"%d" % number, str(number), 20.0)
    found = {name: store.get(name) for name in store.list()}
    assert [*found.values()] == [b"%d" % number for number in range(12)]
    for name in found:
        store.delete(name)
    store.close()
    assert pubsub.waiting == {}


def test_what_was_not_deleted_comes_back(pubsub: PubSub) -> None:
    """At once when the store is closed, so that the next run finds it."""
    store = open_store(URL)
    store.put(b"one", "1", 20.0)
    assert len([*store.list()]) == 1
    assert [*open_store(URL).list()] == []
    store.close()
    again = open_store(URL)
    assert [again.get(name) for name in again.list()] == [b"one"]


def test_a_topic_is_read_by_a_subscription_only(pubsub: PubSub) -> None:
    """Without one it is only written to."""
    with pytest.raises(ConfigurationError, match="cannot be read back"):
        next(iter(open_store("pubsub://project/topic").list()))


@pytest.mark.parametrize(("status", "verdict"), [(403, "retry"), (404, "retry"), (413, "refused"), (503, "retry")])
def test_size_errors_divide_the_batch_and_others_are_retried(status: int, verdict: str, pubsub: PubSub) -> None:
    """What is too large is divided, anything else is tried again; the outcome says what the service has said."""
    pubsub.status = status
    outcome = open_store(URL).put(b"batch", "name", 20.0)
    assert outcome.verdict == verdict
    assert f"HTTP {status}" in outcome.detail
    assert "SAYS_THE_SERVICE" in outcome.detail


def test_an_outcome_quotes_no_event(pubsub: PubSub) -> None:
    """Although the answer does, in base64: what is left of the batch has no more than the beginning of its header."""
    pubsub.status = 400
    outcome = StoreExporter(open_store(URL), OF).send([b'{"prompt":"one that is confidential"}'] * 3, 20.0)
    (quoted,) = re.findall(r"H4sI[\w+/]*", outcome.detail)
    left = zlib.decompressobj(31).decompress(base64.b64decode(quoted[: len(quoted) // 4 * 4]))
    assert left in b'{"version":1,"exporter":"zespan","content_type":"application/json","events":3}'
    assert "Invalid value at 'messages[0].data'" in outcome.detail


def test_a_token_of_a_service_account(pubsub: PubSub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """google-auth gets it once by our own connections, and again when it is refused."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "client_email": "a@b.example",
        "private_key": pem,
        "token_uri": f"http://{pubsub.address}/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")
    store = Topic("pubsub://project/topic")
    store._transport = Transport(f"http://{pubsub.address}")
    assert [store.put(b"batch", str(number), 20.0) for number in range(2)] == [Outcome("delivered")] * 2
    pubsub.status = 401
    assert store.put(b"batch", "2", 20.0).verdict == "retry"
    pubsub.status = 200
    assert store.put(b"batch", "3", 20.0) == Outcome("delivered")
    publish = "/v1/projects/project/topics/topic:publish"
    sent = [(publish, f"Bearer t{number}") for number in (1, 1, 1, 2)]
    assert [request for request in pubsub.requests if request[0] == publish] == sent
    store.close()


def test_an_endpoint_that_never_answers_takes_the_time_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """And another thread can end it before."""
    with aws.hanging_server() as mute:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", mute.removeprefix("http://"))
        store = Topic("pubsub://project/topic")
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            store.put(b"batch", "name", 0.3)
        assert time.monotonic() - begun < 15
        failures: list[BaseException] = []

        def put() -> None:
            try:
                store.put(b"batch", "name", 60.0)
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=put)
        thread.start()
        until(lambda: store._transport._busy is not None)
        store.cancel()
        thread.join(20)
        assert len(failures) == 1


@pytest.mark.parametrize(
    "url", ["pubsub://project", "pubsub://project/a/b", "pubsub:///topic", "pubsub://p/t?x=1", "pubsub://k:s@p/t"]
)
def test_what_is_no_url_of_a_topic(url: str) -> None:
    """It is a mistake in the configuration."""
    with pytest.raises(ConfigurationError, match="must be like pubsub://project/topic"):
        open_store(url)


def test_the_largest_batch_fits_into_a_request() -> None:
    """A request may have 10 MB, of which base64 takes four thirds of the batch."""
    assert Topic.limit * 4 / 3 + 100 < 10_000_000


@pytest.mark.usefixtures("pubsub")
class TestContract(testing.ExporterContract):
    def make(self) -> StoreExporter:
        return StoreExporter(open_store(URL), OF)
