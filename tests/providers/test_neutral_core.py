"""The core knows no provider: an invented SDK is traced by a room of a few lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from zespan_serverless import flush, providers, testing
from zespan_serverless._base import hook
from zespan_serverless._process import container as _container
from zespan_serverless._record.model import Answer
from zespan_serverless.providers._request import Choke, Request
from zespan_serverless.providers._stainless import StainlessEndpoint

SDK = """
class Stream:
    def __init__(self, response, chunks):
        self.response, self._chunks = response, chunks
        self._iterator = self.__stream__()
    def __stream__(self):
        yield from self._chunks
    def __iter__(self):
        return iter(self._iterator)

class Response:
    def close(self):
        pass

class Client:
    def request(self, path, body):
        if path == "/fail":
            raise ConnectionError("no route")
        if body.get("stream"):
            return Stream(Response(), [{"text": "Hel"}, {"text": "lo"}])
        return {"text": "Hello", "tokens": 3}
"""


class Sentences:
    """The chunks of one stream."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, chunk: Any) -> bool:
        self.texts.append(chunk["text"])
        return True

    def answer(self) -> Answer:
        answer = Answer()
        answer.text = "".join(self.texts)
        return answer


class Talk(StainlessEndpoint):
    operation = "talk"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.text, answer.output_tokens, answer.known = result["text"], result["tokens"], True
        return answer

    def pieces(self) -> Sentences:
        return Sentences()


class Requests(Choke):
    classes = ("Client",)
    methods = ("request",)

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        path, body = args
        if path == "/status":
            return None
        if path == "/odd":
            raise ValueError("unreadable")
        return Request(Talk(), "acme", body.get("model"), messages=body.get("messages"), stream=body.get("stream"))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """A client of the SDK, which has been imported after telemetry has begun to watch for it."""
    (tmp_path / "acme_sdk.py").write_text(SDK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(providers.ROOMS, "acme_sdk", "acme")
    room = ModuleType("zespan_serverless.providers.acme")
    vars(room)["CHOKES"] = (Requests(),)
    monkeypatch.setitem(sys.modules, room.__name__, room)
    providers.watch("acme")
    yield __import__("acme_sdk").Client()
    del sys.modules["acme_sdk"]
    (finder,) = [finder for finder in sys.meta_path if isinstance(finder, hook.WhenImported)]
    finder.patches.pop("acme_sdk", None)


ASK = {"model": "talker", "messages": [{"role": "user", "content": "Hi"}]}


def test_what_the_room_says_is_the_event(client: Any) -> None:
    """An answer, a stream and an error: the core does the rest."""
    with testing.recording() as events:
        assert client.request("/talk", ASK) == {"text": "Hello", "tokens": 3}
        assert [chunk["text"] for chunk in client.request("/talk", {**ASK, "stream": True})] == ["Hel", "lo"]
        with pytest.raises(ConnectionError, match="no route"):
            client.request("/fail", ASK)
        flush(5)
    assert [(e["provider"], e["operation"], e["model"]) for e in events] == [("acme", "talk", "talker")] * 3
    assert [e["completion_text"] for e in events] == ["Hello", "Hello", ""]
    assert [e["stream"] for e in events] == [False, True, False]
    assert [e["status"] for e in events] == ["success", "success", "error"]
    assert ["ttft_ms" in e for e in events] == [False, True, False]
    assert events[0]["output_tokens"] == 3
    assert all('"content":"Hi"' in e["prompt_text"] for e in events)


def test_what_is_not_the_rooms(client: Any) -> None:
    """Other requests pass, and so do those that the room cannot read, which are counted."""
    with testing.recording() as events:
        assert client.request("/status", {})["text"] == "Hello"
        assert client.request("/odd", {})["text"] == "Hello"
        container = _container.current()
        assert container is not None
        assert container.delivery.dropped == {"unencodable": 1}
    assert events == []


def test_an_answer_that_the_room_cannot_read(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has it all the same, and there is an event."""
    monkeypatch.setattr(Talk, "answer", lambda self, result: SimpleNamespace().missing)
    with testing.recording() as events:
        assert client.request("/talk", ASK)["text"] == "Hello"
        flush(5)
    assert [(e["model"], e["status"], e["completion_text"]) for e in events] == [("talker", "success", "")]
