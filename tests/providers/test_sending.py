"""The HTTP clients beneath the SDKs: what is patched there changes nothing for others."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest

from tests.outbound.server import Server
from zespan_serverless import testing, zespan_lambda
from zespan_serverless._trace import open_call
from zespan_serverless.providers._sending import Attempts, Within, _aiohttp, _httpx, current
from zespan_serverless.testing import LambdaContext

ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}


def test_aiohttp_may_be_asked_by_keywords() -> None:
    """As subclasses and wrappers do that hand all on to the method beneath."""
    _aiohttp.patch(aiohttp.client)

    async def ask(url: str) -> int:
        async with aiohttp.ClientSession() as session, await session._request(method="GET", str_or_url=url) as answer:
            return int(answer.status)

    with Server() as server:
        assert asyncio.run(ask(server.url())) == 200
        attempts = Attempts(until=float("inf"))
        with Within(attempts):
            assert asyncio.run(ask(server.url())) == asyncio.run(ask(server.url())) == 200
    assert attempts.resends == 1


def test_an_answer_of_another_make_is_handed_on() -> None:
    """Other code may have replaced `send` before, as tests do."""
    made = Bare()
    client, other = type("Client", (), {"send": lambda client, request: made}), type("AsyncClient", (), {"send": None})
    theirs: Any = SimpleNamespace(**{**vars(httpx), "Client": client, "AsyncClient": other})
    _httpx.patch(theirs)
    with Within(Attempts(until=float("inf"))):
        assert theirs.Client().send(httpx.Request("GET", "http://a", extensions={"timeout": {"read": 1}})) is made


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_a_response_within_its_time_is_as_any_other(module: Any) -> None:
    """Read, streamed, left, and by a second reader: `elapsed` and the rest say what they say without a limit."""
    _httpx.patch(module)

    async def ask_async(url: str) -> list[object]:
        async with module.AsyncClient() as client:
            whole = await client.get(url)
            async with client.stream("GET", url) as streamed:
                await streamed.aread()
            async with client.stream("GET", url) as left:
                async for _ in left.aiter_raw(1):
                    break
            return [facts(one) for one in (whole, streamed, left)]

    def ask(url: str) -> list[object]:
        with module.Client() as client:
            whole = client.get(url)
            with client.stream("GET", url) as streamed:
                streamed.read()
            with client.stream("GET", url) as left:
                next(left.iter_raw(1))
            return [facts(one) for one in (whole, streamed, left)]

    def facts(response: Any) -> object:
        taken = response.elapsed.total_seconds() > 0
        read = response.text if hasattr(response, "_content") else None
        return taken, response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded, read

    with Server() as server:
        bare = ask(server.url()), asyncio.run(ask_async(server.url()))
        with Within(Attempts(until=time.monotonic() + 60)):
            assert (ask(server.url()), asyncio.run(ask_async(server.url()))) == bare


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_a_body_that_is_left_is_closed_with_its_reader(module: Any) -> None:
    """As without a limit, and not when the garbage collector comes to it."""
    _httpx.patch(module)
    closed: list[str] = []

    class Body(module.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                yield b"a"
                yield b"b"
            finally:
                closed.append("body")

    async def ask() -> list[str]:
        transport = module.MockTransport(lambda request: module.Response(200, stream=Body()))
        async with module.AsyncClient(transport=transport) as client, client.stream("GET", "http://a") as response:
            reader = response.aiter_raw()
            await anext(reader)
            await reader.aclose()
            return [*closed]

    bare = asyncio.run(ask())
    closed.clear()
    with Within(Attempts(until=time.monotonic() + 60)):
        assert asyncio.run(ask()) == bare
    assert bare == ["body"] or module is httpx


class Bare:
    """A response that nothing can be put into."""

    __slots__ = ()


def test_a_call_that_is_dropped_leaves_the_one_under_way_in_its_place() -> None:
    """The garbage collector closes an unawaited coroutine, wherever it happens to run."""
    places: list[Any] = []
    dropped: list[Any] = []

    class Hangs(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    def begin() -> None:
        client = openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=Hangs()))
        client._platform = "Linux"
        dropped.append(client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}]))
        loop = asyncio.new_event_loop()
        asyncio._set_running_loop(loop)
        try:
            dropped[0].send(None)
        finally:
            asyncio._set_running_loop(None)
            loop.close()

    def answer(request: httpx2.Request) -> httpx2.Response:
        places.append((open_call.get(), current.get()))
        dropped.pop().close()
        places.append((open_call.get(), current.get()))
        return httpx2.Response(200, json=ANSWER)

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        contextvars.copy_context().run(begin)
        with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))) as client:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}])

    with testing.recording() as events:
        handler({}, LambdaContext())
    assert places[0] == places[1]
    assert None not in places[0]
    assert (open_call.get(), current.get()) == (None, None)
    assert [event["status"] for event in events if event["span_kind"] == "llm"] == ["error", "success"]
