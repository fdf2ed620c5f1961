"""Telemetry while the backend fails; the page is served all the time."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.server.support import Reply, ask, event, owner, send
from tests.exporters.otlp import support
from tests.support import until
from zespan_serverless._process.container import build_exporter
from zespan_serverless._record.record import Record
from zespan_serverless.settings import Settings


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


def deliveries(dev: DevServer) -> list[tuple[int | None, str | None, bool]]:
    """(status, fault, whether it was answered) of each delivery."""
    rows = dev.get("ledger")["rows"]
    found = {one["id"]: one for row in rows for one in row["deliveries"]}
    return [(one["status"], one["fault"], one["answered"] is not None) for one in found.values()]


@pytest.mark.parametrize("mode", ["429", "500"])
def test_a_fault_status_is_the_response(dev: DevServer, mode: str) -> None:
    """Telemetry gets the status, with a time to wait at 429, and is kept as not delivered."""
    dev.fault = mode
    reply = ask(dev, "POST", "/v1/ingest", json.dumps(event()).encode())
    assert (reply.status, "retry-after" in reply.headers) == (int(mode), mode == "429")
    assert deliveries(dev) == [(int(mode), mode, True)]
    assert dev.get("summary")["ledger"]["waiting"] == 1


def test_a_bad_body_is_refused_as_it_would_be(dev: DevServer) -> None:
    """A fault comes before the reading of a body, as it does in a backend that is down."""
    dev.fault = "500"
    assert ask(dev, "POST", "/v1/ingest", b"no").status == 500


def test_the_page_is_served_during_each_fault(dev: DevServer) -> None:
    """The API, lifecycle records and commands do not fail."""
    for mode in ("hang", "429", "500", "refuse", "drip"):
        assert dev.post("fault", {"mode": mode}) == {"mode": mode}
        assert dev.get("summary")["fault"] == mode
        dev.post_lifecycle({"type": "sandbox", "sandbox": "s"})
        assert ask(dev, "GET", "/v1/commands?sandbox=s&wait=0").json() == {"commands": []}


@pytest.mark.parametrize("body", [b'{"mode": "off"}', b"{}", b"[]", b"no"])
def test_a_fault_that_there_is_not(dev: DevServer, body: bytes) -> None:
    """It is refused, and the fault in force stays."""
    reply = ask(dev, "POST", "/api/fault", body, {**owner(dev), "content-type": "application/json"})
    assert reply.status == 400
    assert reply.json()["error"]
    assert dev.fault == "ok"


def test_a_form_cannot_change_the_fault(dev: DevServer) -> None:
    """What a form of another page could post is not taken."""
    headers = {**owner(dev), "content-type": "text/plain"}
    assert ask(dev, "POST", "/api/fault", b'{"mode": "hang"}', headers).status == 415


def test_refuse_resets_the_connection(dev: DevServer) -> None:
    """The client gets no answer but a reset; its event is seen, and waits."""
    dev.fault = "refuse"
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        send(dev, event())
    assert deliveries(dev) == [(None, "refuse", False)]


def test_hang_ends_with_the_fault(dev: DevServer) -> None:
    """A request that hangs is shown at once, without a status, and is answered when the fault is over."""
    dev.fault = "hang"
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(send(dev, event())))
    client.start()
    until(lambda: dev.get("summary")["deliveries"] == 1)
    assert deliveries(dev) == [(None, "hang", False)]
    assert dev.get("summary")["ledger"]["waiting"] == 1
    dev.fault = "ok"
    client.join(20)
    assert statuses == [200]
    assert deliveries(dev) == [(200, "hang", True)]
    assert dev.get("summary")["ledger"]["delivered"] == 1


def test_a_client_that_leaves_while_it_hangs(dev: DevServer) -> None:
    """Its request stays without an answer, also when the fault is over."""
    dev.fault = "hang"
    body = json.dumps(event()).encode()
    head = f"POST /v1/ingest HTTP/1.1\r\nhost: 127.0.0.1:{dev.port}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", dev.port), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        until(lambda: dev.get("summary")["deliveries"] == 1)
    until(lambda: len(dev._listener._open) == 0)
    dev.fault = "ok"
    assert deliveries(dev) == [(None, "hang", False)]


def test_drip_is_slow_until_the_fault_ends(dev: DevServer) -> None:
    """The answer comes a byte at a time; after the end of the fault the rest comes at once."""
    dev.fault = "drip"
    replies: list[Reply] = []
    body = json.dumps(event()).encode()
    client = threading.Thread(target=lambda: replies.append(ask(dev, "POST", "/v1/ingest", body)))
    client.start()
    until(lambda: dev.get("summary")["deliveries"] == 1)
    time.sleep(0.5)
    assert client.is_alive()
    dev.fault = "ok"
    client.join(20)
    assert (replies[0].status, replies[0].body) == (200, b"{}")


def test_the_package_meets_a_fault(dev: DevServer) -> None:
    """This package's exporter takes each fault for what it is, and delivers the event afterwards."""
    record: Record = support.call()
    exporter = build_exporter(Settings(exporter="zespan", base_url=dev.url, api_key="zsp_local"))
    verdicts = {}
    for mode in ("hang", "429", "500", "refuse", "ok"):
        dev.fault = mode
        try:
            verdicts[mode] = exporter.send([exporter.encode(record)], 1.0).verdict
        except OSError:
            verdicts[mode] = "retry"  # the sender takes it so
    exporter.close()
    assert verdicts == {"hang": "retry", "429": "retry", "500": "retry", "refuse": "retry", "ok": "delivered"}
    (row,) = dev.get("ledger")["rows"]
    assert (row["state"], row["again"]) == ("delivered", False)
    assert {one["fault"] for one in row["deliveries"]} == {"hang", "429", "500", "refuse", None}
