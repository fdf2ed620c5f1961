"""Every API of every provider, through its real SDK: the user gets what the SDK gives, and there is one right event."""

from __future__ import annotations

import asyncio
import gc
import json
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import pytest

from zespan_serverless import flush, providers, testing, zespan_lambda

from .apis import APIS
from .apis.api import Api
from .endpoint import Endpoint, Json, Reply, serving, whole
from .user import close, use

# The SDKs' own: models that are about to go, connections that their clients leave to the garbage collector.
IGNORED = ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(r"ignore:The \w+ method is deprecated"),  # google-genai's for images
    *(pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED),
]

MODEL_KINDS = {"llm", "embedding", "image_gen", "audio", "moderation", "rerank", "retriever", "agent"}
# What the user calls themselves, or Python does for them: nothing could contain it.
OWN = {"__enter__", "__exit__", "__aenter__", "__aexit__", "_follow"}
ELSEWHERE = {"dspy", "litellm"}  # whose tests are in tests/frameworks/
STREAMED = [name for name, api in APIS.items() if api.stream is not None]


class Outcome:
    """What the user of a client gets, and the events of the calls."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.events: list[Json] = []

    @property
    def calls(self) -> list[Json]:
        return [event for event in self.events if event["span_kind"] in MODEL_KINDS]

    def only(self) -> Json:
        (event,) = self.calls
        return event


def play(
    api: Api, endpoint: Endpoint, *whats: str, is_async: bool, traced: bool = True, cap_timeouts: float = 0.0
) -> Outcome:
    """Call the API in a Lambda function, in each of these ways, with one client."""
    outcome = Outcome()

    async def work() -> None:
        async with AsyncExitStack() as stack:
            client = api.connect(endpoint.url, is_async)
            if hasattr(client, "__aenter__") and "aiobotocore" in type(client).__module__:
                client = await stack.enter_async_context(client)
            for what in whats:
                await use(client, api, what, outcome.seen, is_async)
            await close(client)
        gc.collect()

    if not traced:
        asyncio.run(work())
        gc.freeze()  # the SDK: the plays with the package need not look through it
        return outcome

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        asyncio.run(work())

    with testing.recording(cap_timeouts=cap_timeouts) as events:
        handler({}, testing.LambdaContext())
        flush(5)
    outcome.events = list(events)
    return outcome


@pytest.fixture(params=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


def _check(event: Json, expected: Json) -> None:
    assert {name: event.get(name) for name in expected} == expected


@pytest.mark.parametrize("name", APIS)
def test_an_answer_is_one_event(name: str, is_async: bool) -> None:
    """With the provider, the model, all numbers of tokens, the text and the tool calls; the result is the SDK's."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        bare = play(api, endpoint, "ask", is_async=is_async, traced=False)
        ours = play(api, endpoint, "ask", is_async=is_async)
        assert len(endpoint.requests) == 2
    assert ours.seen == bare.seen
    assert "raised" not in ours.seen[-1]
    event = ours.only()
    _check(event, api.event)
    assert event.get("metadata", {}) == api.usage
    assert (event["status"], event["stream"]) == ("success", False)
    assert api.prompt in event["prompt_text"]
    root = ours.events[-1]
    assert (event["trace_id"], event["parent_span_id"]) == (root["trace_id"], root["span_id"])


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_is_one_event(name: str, is_async: bool) -> None:
    """The same numbers and text as of an answer, and the times of its first piece and of its first content."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        bare = play(api, endpoint, "read", is_async=is_async, traced=False)
        ours = play(api, endpoint, "read", is_async=is_async)
    assert ours.seen == bare.seen
    event = ours.only()
    _check(event, {**api.event, **api.later})
    assert (event["status"], event["stream"]) == ("success", True)
    first_chunk_s = event["metadata"].pop("gen_ai.response.time_to_first_chunk")
    assert event["metadata"] == api.usage
    assert 0 < first_chunk_s * 1000 <= event["ttft_ms"] <= event["latency_ms"] + 1


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_that_is_left_is_one_event(name: str, is_async: bool) -> None:
    """After the first piece: no error, and no more than has been read."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        bare = play(api, endpoint, "leave", is_async=is_async, traced=False)
        ours = play(api, endpoint, "leave", is_async=is_async)
    assert ours.seen == bare.seen
    assert ours.only()["status"] == "success"


@pytest.mark.parametrize("what", ["ask", "read"])
@pytest.mark.parametrize("name", APIS)
def test_a_call_that_is_refused_is_one_event(name: str, what: str, is_async: bool) -> None:
    """The user gets the SDK's own exception, and the event says that the call has failed."""
    api = APIS[name]
    if what == "read" and api.stream is None:
        pytest.skip("no stream")

    def refuse(path: str, request: Json) -> Reply:
        return whole({"error": {"message": "no", "code": 400, "status": "X"}, "message": "no", "id": "e"}, status=400)

    with serving(refuse) as endpoint:
        bare = play(api, endpoint, what, is_async=is_async, traced=False)
        ours = play(api, endpoint, what, is_async=is_async)
    assert ours.seen == bare.seen
    assert "raised" in ours.seen[-1]
    assert ours.only()["status"] == "error"


# ---------------------------------------------------------------------- whatever fails inside


def functions_of(room: str) -> Iterator[tuple[Any, str]]:
    """Yield every function and method of a room."""
    package = import_module(f"zespan_serverless.providers.{room}")
    modules = [package]
    modules += [import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    for module in modules:
        for owner in (module, *_classes(module)):
            for name, value in list(vars(owner).items()):
                is_ours = isinstance(value, FunctionType) and value.__module__ == module.__name__
                if is_ours and name not in OWN:
                    yield owner, name


def _classes(module: ModuleType) -> list[type]:
    return [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]


def _room(api: Api) -> str:
    return api.name.split()[0]


@pytest.mark.parametrize("name", APIS)
def test_whatever_of_a_room_fails_the_call_is_the_users(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One function at a time raises: same results, one request each, of an answer and of a stream, sync or async."""
    api = APIS[name]

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken inside")

    whats = ["ask"] if api.stream is None else ["ask", "read", "leave"]
    with serving(api.reply) as endpoint:
        bare = [play(api, endpoint, *whats, is_async=is_async, traced=False).seen for is_async in (False, True)]
        for number, (owner, function) in enumerate(functions_of(_room(api))):
            before = len(endpoint.requests)
            with monkeypatch.context() as patch:
                patch.setattr(owner, function, broken)
                ours = play(api, endpoint, *whats, is_async=bool(number % 2))
            assert ours.seen == bare[number % 2], (owner, function)
            assert len(ours.calls) <= len(whats), (owner, function)
            assert len(endpoint.requests) == before + len(whats)


def test_every_room_is_tried() -> None:
    """A provider that is added to the table gets its rows here."""
    rooms = {_room(api) for api in APIS.values()}
    assert rooms | ELSEWHERE | {"mcp"} == set(providers.ROOMS.values())
    assert "zespan_serverless.providers" in sys.modules


def test_a_body_without_other_references_can_be_read() -> None:
    """`invoke_model(...)["body"].read()` is how it is read most often."""
    api = APIS["bedrock invoke_model"]
    with serving(api.reply) as endpoint:
        client = api.connect(endpoint.url, False)

        @zespan_lambda
        def handler(event: object, context: object) -> Any:
            return json.loads(api.ask(client)["body"].read())["stop_reason"]

        with testing.recording() as events:
            assert handler({}, testing.LambdaContext()) == "tool_use"
            flush(5)
    (call,) = [event for event in events if event["span_kind"] == "llm"]
    assert call["output_tokens"] == 30


async def _with(body: Any) -> bytes:
    async with body as entered:
        read: bytes = await entered.read()
        return read


async def _chunks(body: Any) -> bytes:
    return b"".join([piece async for piece in body.iter_chunks(20)])


async def _lines(body: Any) -> bytes:
    return b"\n".join([line async for line in body.iter_lines()])


async def _pieces(body: Any) -> bytes:
    return b"".join([piece async for piece in body])


@pytest.mark.parametrize("how", [_with, _chunks, _lines, _pieces])
def test_however_an_asynchronous_body_is_read(how: Any) -> None:
    """By `async with`, in chunks, in lines, or as an iterator: the event has the numbers."""
    api = APIS["bedrock invoke_model"]

    async def ask(url: str) -> bytes:
        async with api.connect(url, True) as client:
            body: bytes = await how((await api.ask(client))["body"])
            return body

    @zespan_lambda
    def handler(event: str, context: object) -> Any:
        return asyncio.run(ask(event))

    with serving(api.reply) as endpoint, testing.recording() as events:
        assert json.loads(handler(endpoint.url, testing.LambdaContext()))["stop_reason"] == "tool_use"
        flush(5)
    (call,) = [event for event in events if event["span_kind"] == "llm"]
    assert (call["input_tokens"], call["output_tokens"]) == (130, 30)
