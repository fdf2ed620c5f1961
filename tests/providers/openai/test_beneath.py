"""Other tools between the methods and the request that they send: the answer is the model's, and counted once."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
import wrapt

from zespan_serverless import patch_openai

if TYPE_CHECKING:
    from .conftest import Recorded, Scripted, Side

Create = Callable[..., Any]


@pytest.fixture
def between(side: Side, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Create], Create]], None]:
    """Puts a tool's wrapper beneath ours, as if it had been there before us."""
    owner = type(side.client.chat.completions)

    def put(wrapper: Callable[[Create], Create]) -> None:
        original = getattr(owner.create, "__zespan_original__", owner.create)
        monkeypatch.setattr(owner, "create", wrapper(original))
        patch_openai()
        assert hasattr(owner.create, "__zespan_original__")

    return put


async def awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


Between = Callable[[Callable[[Create], Create]], None]


def test_a_tool_that_makes_a_generator_of_the_stream(
    side: Side, scripted: Scripted, recorded: Recorded, between: Between
) -> None:
    """The user has the tool's generator, and the event has what the model said."""

    def wrapper(create: Create) -> Create:
        def sync(*args: Any, **request: Any) -> Iterator[Any]:
            return (chunk for chunk in create(*args, **request))

        async def asynchronous(*args: Any, **request: Any) -> AsyncIterator[Any]:
            stream = await create(*args, **request)
            return (chunk async for chunk in stream)

        return sync if side.name == "sync" else asynchronous

    between(wrapper)
    scripted.replies = [[scripted.chunk("a"), scripted.chunk("b"), "[DONE]"]]
    assert len(side.take(side.ask(stream=True))) == 2
    assert recorded.one()["completion_text"] == "ab"


def test_a_tool_that_tries_again(side: Side, scripted: Scripted, recorded: Recorded, between: Between) -> None:
    """Two requests are one call, which succeeds."""

    def wrapper(create: Create) -> Create:
        async def again(*args: Any, **request: Any) -> Any:
            try:
                return await awaited(create(*args, **request))
            except openai.InternalServerError:
                return await awaited(create(*args, **request))

        return again if side.name == "async" else lambda *args, **request: side.run(again(*args, **request))

    between(wrapper)
    scripted.replies = [500, scripted.completion("second")]
    assert side.ask().choices[0].message.content == "second"
    event = recorded.one()
    assert (event["status"], event["completion_text"]) == ("success", "second")


def test_a_tool_that_asks_twice(side: Side, scripted: Scripted, recorded: Recorded, between: Between) -> None:
    """Although it has an answer: two calls, each with what it has cost."""

    def wrapper(create: Create) -> Create:
        async def twice(*args: Any, **request: Any) -> Any:
            await awaited(create(*args, **request))
            return await awaited(create(*args, **request))

        return twice if side.name == "async" else lambda *args, **request: side.run(twice(*args, **request))

    between(wrapper)
    scripted.replies = [scripted.completion("first"), scripted.completion("second")]
    assert side.ask().choices[0].message.content == "second"
    assert [event["completion_text"] for event in recorded.calls()] == ["first", "second"]


def test_a_tool_that_sends_something_else_first(
    side: Side, scripted: Scripted, recorded: Recorded, between: Between
) -> None:
    """A cache's embeddings, say, are not the answer."""

    def wrapper(create: Create) -> Create:
        async def cached(*args: Any, **request: Any) -> Any:
            await awaited(args[0]._client.post("/embeddings", body={}, cast_to=object))
            return await awaited(create(*args, **request))

        return cached if side.name == "async" else lambda *args, **request: side.run(cached(*args, **request))

    between(wrapper)
    scripted.replies = [scripted.completion("an embedding"), scripted.completion("Hello")]
    side.ask()
    assert recorded.one()["completion_text"] == "Hello"


@pytest.mark.parametrize("_side", ["async"], indirect=True)
def test_calls_at_the_same_time(side: Side, scripted: Scripted, recorded: Recorded, between: Between) -> None:
    """A wrapper that does not look like a coroutine function is called twice before either call is awaited."""
    between(lambda create: lambda *args, **request: create(*args, **request))
    scripted.pace = 0.01
    ask = side.client.chat.completions.create
    scripted.replies = [scripted.completion("answer")]

    async def both() -> None:
        prompts = ([{"role": "user", "content": word}] for word in ("one", "two"))
        await asyncio.gather(*(ask(model=m[0]["content"], messages=m) for m in prompts))

    side.run(both())
    events = recorded.calls()
    assert sorted((event["model"], event["completion_text"]) for event in events) == [("gpt-4o-mini", "answer")] * 2
    assert {json.loads(event["prompt_text"])[0]["content"] for event in events} == {"one", "two"}
    assert len({event["span_id"] for event in events}) == 2


def test_a_tool_that_has_the_request_of_one_client(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Ours is not reached; the answer is taken at the method, a stream also from a proxy."""
    client = side.connect(scripted.url)
    original = vars(type(client).__mro__[1])["request"].__zespan_original__.__get__(client)

    class Proxy(wrapt.ObjectProxy):  # type: ignore[type-arg]
        def __next__(self) -> Any:
            return next(self.__wrapped__)

        def __anext__(self) -> Any:
            return anext(self.__wrapped__)

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        return Proxy(await original(*args, **kwargs))

    client.request = asynchronous if side.name == "async" else lambda *args, **more: Proxy(original(*args, **more))
    side.client, before = client, side.client
    try:
        scripted.replies = [scripted.completion("Hello"), [scripted.chunk("a"), scripted.chunk("b"), "[DONE]"]]
        side.ask()
        assert len(side.take(side.ask(stream=True))) == 2
        assert [event["completion_text"] for event in recorded.calls()] == ["Hello", "ab"]
    finally:
        side.client = before
        side.run(client.close())
