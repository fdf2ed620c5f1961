"""What watchers hear, and what tools are told to do."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import pytest
from zespan_serverless_dev.server import DevServer, stream

from tests.dev.server.support import TRACE, ask, event, owner, root, send


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


class Watcher:
    """A page that watches."""

    def __init__(self, dev: DevServer, last_id: str | None = None, query: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=30)
        headers = {**owner(dev), **({"last-event-id": last_id} if last_id else {})}
        self._connection.request("GET", f"/api/stream{query}", headers=headers)
        self.answer = self._connection.getresponse()
        self.first = self.block()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def block(self) -> dict[str, str]:
        """Return the fields of the next event; none at the end."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    def change(self) -> dict[str, Any]:
        fields = self.block()
        assert fields["event"] == "change"
        return {**json.loads(fields["data"]), "id": fields["id"]}


def test_a_watcher_hears_what_has_changed(dev: DevServer) -> None:
    """An event names its trace and its sandbox, a lifecycle record its sandbox."""
    with Watcher(dev) as page:
        assert page.answer.headers["content-type"] == "text/event-stream"
        send(dev, event(), root())
        change = page.change()
        assert (change["events"], change["traces"], change["sandboxes"]) == (2, [TRACE], ["shop/i-1"])
        dev.post_lifecycle({"type": "sandbox", "sandbox": "s"})
        change = page.change()
        assert (change["events"], change["lifecycle"], change["sandboxes"]) == (0, 1, ["s"])


def test_many_changes_are_few_messages(dev: DevServer) -> None:
    """Changes that come quickly are joined: nothing is missing, and no watcher gets hundreds of messages."""
    with Watcher(dev) as page:
        for number in range(100):
            send(dev, event(trace_id=f"{number:032x}"))
        changes: list[dict[str, Any]] = []
        while sum(change["events"] for change in changes) < 100:
            changes.append(page.change())
    assert len({trace for change in changes for trace in change["traces"]}) == 100
    assert len(changes) < 50


def test_a_watcher_goes_on_where_it_was(dev: DevServer) -> None:
    """With the id of its last message it hears what it has missed, once."""
    with Watcher(dev) as page:
        send(dev, event())
        last = page.change()["id"]
    send(dev, event(trace_id="7" * 32), event(trace_id="8" * 32))
    dev.get("summary")
    with Watcher(dev, last) as page:
        change = page.change()
        assert (change["events"], change["traces"]) == (2, ["7" * 32, "8" * 32])


@pytest.mark.parametrize("last", ["other-run.1", "garbage", "{run}.999", "{run}.-1", "{run}.²"])
def test_a_watcher_that_was_away_for_too_long(dev: DevServer, last: str) -> None:
    """If it cannot be known what was missed, the watcher is told to read everything again."""
    send(dev, event())
    dev.get("summary")
    with Watcher(dev, last.format(run=dev.runs.current.id).encode().decode("latin-1")) as page:
        assert page.first["event"] == "reset"


def test_too_many_watchers(dev: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound one is refused; when another has left, there is room again."""
    monkeypatch.setattr(stream, "WATCHERS_MAX", 1)
    with Watcher(dev):
        assert ask(dev, "GET", "/api/stream", headers=owner(dev)).status == 503
    send(dev, event())  # by writing to it, the server finds that the first has left
    for number in range(100):
        try:
            with Watcher(dev) as page:
                if page.answer.status == 200:
                    return
        except OSError:
            pass
        send(dev, event(trace_id=f"{number:032x}"))
        time.sleep(0.05)
    raise AssertionError("no room")


def test_the_stream_ends_with_the_server() -> None:
    """A watcher's stream ends when the server is closed, which does not wait for it."""
    dev = DevServer()
    with Watcher(dev) as page:
        dev.close()
        assert page.block() == {}


def test_a_tool_gets_its_commands(dev: DevServer) -> None:
    """A command for a sandbox that obeys it reaches the waiting tool exactly once."""
    dev.post_lifecycle({"type": "sandbox", "sandbox": "s/1", "controls": ["freeze", "again"]})
    found: list[Any] = []
    tool = threading.Thread(target=lambda: found.append(ask(dev, "GET", "/v1/commands?sandbox=s%2F1").json()))
    tool.start()
    assert dev.post("sandboxes/s%2F1/control", {"control": "freeze"}) == {"control": "freeze"}
    tool.join(20)
    assert found == [{"commands": [{"control": "freeze"}]}]
    assert ask(dev, "GET", "/v1/commands?sandbox=s%2F1&wait=0").json() == {"commands": []}
    dev.post("sandboxes/s%2F1/control", {"control": "again"})
    dev.post("sandboxes/s%2F1/control", {"control": "freeze"})
    both = ask(dev, "GET", "/v1/commands?sandbox=s%2F1&wait=0").json()["commands"]
    assert [one["control"] for one in both] == ["again", "freeze"]


@pytest.mark.parametrize(
    ("sandbox", "body", "status"),
    [("s", "kill", 409), ("gone", "freeze", 409), ("none", "freeze", 404), ("s", "format the disk", 400)],
)
def test_a_command_that_cannot_be_obeyed(dev: DevServer, sandbox: str, body: str, status: int) -> None:
    """A control that the sandbox has not named, or of one that has ended, is refused."""
    for name in ("s", "gone"):
        dev.post_lifecycle({"type": "sandbox", "sandbox": name, "controls": ["freeze"]})
    dev.post_lifecycle({"type": "exit", "sandbox": "gone", "reason": "kill"})
    headers = {**owner(dev), "content-type": "application/json"}
    reply = ask(dev, "POST", f"/api/sandboxes/{sandbox}/control", json.dumps({"control": body}).encode(), headers)
    assert reply.status == status
    assert reply.json()["error"]


def test_a_question_for_commands_needs_a_sandbox(dev: DevServer) -> None:
    """The answer says how to ask."""
    reply = ask(dev, "GET", "/v1/commands")
    assert (reply.status, "?sandbox=ID" in reply.json()["error"]) == (400, True)


@pytest.mark.parametrize("body", [b"[]", b'{"type": "init"}', b'{"sandbox": "s"}', b"no"])
def test_a_lifecycle_record_that_is_none(dev: DevServer, body: bytes) -> None:
    """A request with such a record is refused as a whole."""
    reply = ask(dev, "POST", "/v1/lifecycle", b'{"type": "sandbox", "sandbox": "s"}\n' + body)
    assert reply.status == 400
    assert dev.get("summary")["sandboxes"] == 0
