"""Whatever breaks in the OpenAI room, the user's call is made once and its result is the user's."""

from __future__ import annotations

import inspect
import logging
from types import FunctionType
from typing import TYPE_CHECKING, Any

import openai
import pytest
from zespan_serverless_dev.emulator.model import WORDS, ModelEndpoint

import zespan_serverless
from zespan_serverless import providers, testing
from zespan_serverless._process import container as _container
from zespan_serverless.providers import (
    _call,
    _fields,
    _pricing,
    _prompt,
    _request,
    _stream,
    _wrap,
)
from zespan_serverless.providers.openai import _addresses, _chat, _chunks

if TYPE_CHECKING:
    from .conftest import Recorded, Side

TEXT = "".join(WORDS)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]

_FILES = (
    *(_addresses, _call, _chat, _chunks, _fields),
    *(_pricing, _prompt, _request, _stream, _wrap),
)

# Not made to fail: what only runs while patching (test_patching has its own), what the user's call itself runs through,
# and the guards, whose whole work it is to catch what the others raise.
_THE_CALL = {
    "observed",
    "_awaited",
    "_in_place_of",
    *(f"_Held.__{name}__" for name in ("init", "del")),
    *(f"_Observation.__{name}__" for name in ("enter", "exit")),
    "_Observation.paused",
    *(f"Taker.{name}" for name in ("__init__", "pause", "resume")),
    *(f"StreamReader.__{name}__" for name in ("init", "iter", "aiter", "next", "anext", "del")),
}
_GUARDS = {
    "begin",
    "ModelCall.take",
    "ModelCall.pause",
    "ModelCall.resume",
    "ModelCall._settle",
    "ModelCall.done",
    "ModelCall.end",
    "StreamReader.see",
    "StreamReader.closed",
    "StreamReader.end",
    "is_from_signal",
    "pass_on",
    "warn_once",
}


def _internals() -> list[str]:
    """Return every other function and method of the rooms, and every function that they have from the package."""
    names: list[str] = []
    for part in _FILES:
        for name, value in vars(part).items():
            if isinstance(value, FunctionType) and name not in _THE_CALL | _GUARDS:
                names.append(f"{part.__name__}.{name}")
            elif inspect.isclass(value) and value.__module__ == part.__name__:
                inside = {f"{name}.{n}" for n, v in vars(value).items() if isinstance(v, (FunctionType, classmethod))}
                names += [f"{part.__name__}.{method}" for method in sorted(inside - _THE_CALL - _GUARDS)]
    return [name.removeprefix("zespan_serverless.providers.") for name in names]


class Broken(Exception):
    """An internal failure, which must not reach the user."""


def _broken(*_: object, **__: object) -> Any:
    raise Broken("made up")


def _calls_of_every_kind(side: Side, model: ModelEndpoint) -> None:
    """Calls of every kind, each made exactly once and each with the result that it should have."""

    before = len(model.requests)

    def made() -> int:
        nonlocal before
        before, count = len(model.requests), len(model.requests) - before
        return count

    assert side.ask().choices[0].message.content == TEXT
    assert made() == 1
    messages = [{"role": "system", "content": "You are the XAgent. Role: critic"}, {"role": "user", "content": "Hi"}]
    assert side.ask(messages=messages, tools=TOOLS).choices[0].message.tool_calls[0].function.name == "weather"
    assert made() == 1
    with pytest.raises(openai.InternalServerError, match="made-up error 500"):
        side.ask(model="error-500")
    assert made() == 1
    stream = side.ask(stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in side.take(stream)) == TEXT
    assert side.take(stream) == []
    side.run(stream.close())
    stream = side.ask(stream=True, tools=TOOLS)
    assert len(side.take(stream, 2)) == 2
    side.run(stream.close())
    assert stream.response.is_closed
    assert made() == 2
    raw = side.run(side.client.chat.completions.with_raw_response.create(model="m", messages=messages))
    assert raw.parse().choices[0].message.content == TEXT
    manager = side.client.chat.completions.with_streaming_response.create(model="m", messages=messages)
    assert side.run(side.enter(manager).parse()).choices[0].message.content == TEXT
    side.leave(manager)
    assert made() == 2


@pytest.mark.parametrize("side", ["sync", pytest.param("async", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("name", _internals())
def test_an_internal_that_fails(
    name: str, side: Side, model: ModelEndpoint, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time; the user's calls do not notice, and nothing is called twice."""
    monkeypatch.setattr(f"zespan_serverless.providers.{name}", _broken)
    _calls_of_every_kind(side, model)
    monkeypatch.undo()
    assert len(recorded.calls()) <= 7


@pytest.mark.parametrize(
    "name",
    [
        "_process.Container.capture",
        "_trace.new_span",
        "_trace.current",
        "_trace.context._uuid",
        "_record.record.Record.copy",
    ],
)
def test_a_neighbour_that_fails(
    name: str, side: Side, model: ModelEndpoint, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for what the rest of the package does for a call."""
    monkeypatch.setattr(f"zespan_serverless.{name}", _broken)
    _calls_of_every_kind(side, model)
    monkeypatch.undo()
    assert recorded.calls() == []


def test_it_is_said_once(
    side: Side,
    model: ModelEndpoint,
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In one line of log, without a traceback, however often it happens; and each is counted."""
    monkeypatch.setattr(_call, "cost", _broken)
    with caplog.at_level(logging.DEBUG, "zespan_serverless"):
        side.ask()
        side.ask()
        recorded.all()
    container = _container.current()
    assert container is not None
    assert container.delivery.dropped == {"unencodable": 2}
    (record,) = caplog.records
    said = "zespan-serverless: telemetry events are being dropped: unencodable Broken: made up"
    assert record.getMessage() == f"{said} (docs/log-lines.md#dropped-unencodable)"
    assert record.exc_info is None


def test_a_third_party_stream_is_left_alone(side: Side, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tool's wrapper in place of the client's stream is left alone, and makes an event at once."""
    owner = type(side.client.chat.completions)
    other = iter(["not", "a", "stream"])

    async def create_async(*_: object, **__: object) -> Any:
        return other

    def create(*_: object, **__: object) -> Any:
        return other

    monkeypatch.setattr(owner, "create", create if side.name == "sync" else create_async)
    zespan_serverless.patch_openai()
    assert side.ask(stream=True) is other
    assert list(other) == ["not", "a", "stream"]
    assert recorded.one()["stream"] is True


def test_the_list_above_is_in_force() -> None:
    """Every name that is left out exists, and what matters most is not left out."""
    for name in _THE_CALL | _GUARDS:
        owner, _, method = name.rpartition(".")
        homes = [getattr(part, owner, None) if owner else part for part in _FILES]
        assert any(home is not None and method in vars(home) for home in homes), name
    important = (
        "_call.ModelCall.__init__",
        "openai._chat.Methods.read",
        "openai._chat.Chat.answer",
        "openai._chunks.Chunks.add",
        "_call.ModelCall._asked",
        "_call.once",
    )
    assert {*important} <= {*_internals()}
    assert _container.current() is None


def test_patching_that_fails(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container starts although nothing can be patched."""
    monkeypatch.setattr(providers, "_patch_room", _broken)
    with testing.recording():
        assert side.ask().choices[0].message.content == TEXT
