"""Makes calls of every kind with both clients, and records what the user sees. Runs in a tool's environment.

`python calls.py PEER ORDER...` prints the records as JSON, by order: the position of our wrapper, which is `none`,
`below` the tool's (we have patched first), or `above` it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import itertools
import json
import platform
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from pydantic import BaseModel

from tests.peers.tools import TOOLS, Peer
from tests.providers.openai.conftest import Scripted
from zespan_serverless import flush, testing

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
WORDS = ["Hel", "lo ", "you"]


class City(BaseModel):
    name: str


class Client:
    """One of the two clients. `value` awaits what the asynchronous one returns."""

    def __init__(self, raw: Any, is_async: bool) -> None:
        self.raw, self.is_async = raw, is_async
        self.chat = raw.chat.completions

    async def value(self, result: Any) -> Any:
        return await result if inspect.isawaitable(result) else result

    async def read(self, stream: Any, count: int = sys.maxsize) -> list[Any]:
        if not hasattr(stream, "__anext__") and not hasattr(stream, "__aiter__"):
            return [_plain(chunk) for chunk in itertools.islice(stream, count)]
        chunks: list[Any] = []
        async for chunk in stream:
            chunks.append(_plain(chunk))
            if len(chunks) == count:
                break
        return chunks

    async def enter(self, manager: Any) -> Any:
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def leave(self, manager: Any) -> None:
        if hasattr(manager, "__aenter__"):
            await manager.__aexit__(None, None, None)
        else:
            manager.__exit__(None, None, None)


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, openai.BaseModel) else str(type(value))


def _completion(*texts: str) -> dict[str, Any]:
    answer = Scripted.completion()
    message = answer["choices"][0]["message"]
    answer["choices"] = [
        {"index": n, "message": {**message, "content": text}, "finish_reason": "stop"} for n, text in enumerate(texts)
    ]
    return {**answer, "usage": USAGE}


def _with_tool() -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    answer = Scripted.completion(None, tool_calls=[call])
    answer["choices"][0]["finish_reason"] = "tool_calls"
    return {**answer, "usage": USAGE}


def _chunks(count: int = 1) -> list[Any]:
    numbers = range(count)
    return [
        *(Scripted.chunk("", index=n, role="assistant") for n in numbers),
        *(Scripted.chunk(word, index=n) for word in WORDS for n in numbers),
        *(Scripted.chunk(index=n, finish="stop") for n in numbers),
    ]


def _usage() -> dict[str, Any]:
    return {**Scripted.chunk(), "choices": [], "usage": USAGE}


def _tool_chunks() -> list[Any]:
    def piece(**function: str) -> dict[str, Any]:
        start = {"id": "call_1", "type": "function"} if "name" in function else {}
        return Scripted.chunk(tool_calls=[{"index": 0, **start, "function": function}])

    return [
        piece(name="weather", arguments=""),
        piece(arguments='{"city"'),
        piece(arguments=': "Rome"}'),
        Scripted.chunk(finish="tool_calls"),
        "[DONE]",
    ]


def _breaks_off() -> Any:
    yield from _chunks()[:3]
    raise ConnectionResetError


Scenario = Callable[[Client], Awaitable[Any]]
SCENARIOS: dict[str, tuple[Callable[[], Any], Scenario]] = {}
"""Kind of call -> the answer of the model, and the steps of the user."""


def scenario(reply: Callable[[], Any]) -> Callable[[Scenario], Scenario]:
    def add(function: Scenario) -> Scenario:
        SCENARIOS[function.__name__] = reply, function
        return function

    return add


@scenario(lambda: _completion("Hello"))
async def create(client: Client) -> Any:
    return _plain(await client.value(client.chat.create(**ASK)))


@scenario(lambda: _completion("One", "Two"))
async def several_choices(client: Client) -> Any:
    return _plain(await client.value(client.chat.create(**ASK, n=2)))


@scenario(_with_tool)
async def tools(client: Client) -> Any:
    return _plain(await client.value(client.chat.create(**ASK, tools=[TOOL])))


@scenario(lambda: 400)
async def refused(client: Client) -> Any:
    return await client.value(client.chat.create(**ASK))


@scenario(lambda: 500)
async def refused_stream(client: Client) -> Any:
    return await client.value(client.chat.create(**ASK, stream=True))


@scenario(lambda: 500)
async def missing_arguments(client: Client) -> Any:
    return await client.value(client.chat.create(model="m"))


@scenario(lambda: _completion('{"name": "Rome"}'))
async def parse(client: Client) -> Any:
    answer = await client.value(client.chat.parse(**ASK, response_format=City))
    return [_plain(answer), repr(answer.choices[0].message.parsed)]


@scenario(lambda: _completion("Hello"))
async def raw(client: Client) -> Any:
    response = await client.value(client.chat.with_raw_response.create(**ASK))
    return [response.status_code, _plain(response.parse())]


@scenario(lambda: [*_chunks(), "[DONE]"])
async def raw_stream(client: Client) -> Any:
    response = await client.value(client.chat.with_raw_response.create(**ASK, stream=True))
    return [response.status_code, await client.read(response.parse())]


@scenario(lambda: _completion("Hello"))
async def streaming_response(client: Client) -> Any:
    manager = client.chat.with_streaming_response.create(**ASK)
    response = await client.enter(manager)
    answer = _plain(await client.value(response.parse()))
    await client.leave(manager)
    return [response.status_code, answer]


@scenario(lambda: [*_chunks(), "[DONE]"])
async def streaming_response_of_a_stream(client: Client) -> Any:
    manager = client.chat.with_streaming_response.create(**ASK, stream=True)
    response = await client.enter(manager)
    chunks = await client.read(await client.value(response.parse()))
    await client.leave(manager)
    return [response.status_code, chunks]


@scenario(lambda: [*_chunks(), _usage(), "[DONE]"])
async def stream(client: Client) -> Any:
    chunks = await client.value(client.chat.create(**ASK, stream=True, stream_options={"include_usage": True}))
    return await client.read(chunks)


@scenario(lambda: [*_chunks(), "[DONE]"])
async def what_a_stream_can_do(client: Client) -> Any:
    chunks = await client.value(client.chat.create(**ASK, stream=True))
    kind = openai.AsyncStream if client.is_async else openai.Stream
    seen: list[Any] = [isinstance(chunks, kind), type(chunks).__name__]
    response = getattr(chunks, "response", None)
    seen += [getattr(response, "status_code", None), hasattr(chunks, "close")]
    step = "__anext__" if client.is_async else "__next__"
    seen.append(_plain(await client.value(getattr(chunks, step)())))
    seen.append(await client.read(chunks))
    seen.append(getattr(response, "is_closed", None))
    return seen


@scenario(lambda: [*_chunks(2), "[DONE]"])
async def stream_of_several_choices(client: Client) -> Any:
    return await client.read(await client.value(client.chat.create(**ASK, stream=True, n=2)))


@scenario(_tool_chunks)
async def stream_of_a_tool(client: Client) -> Any:
    return await client.read(await client.value(client.chat.create(**ASK, stream=True, tools=[TOOL])))


@scenario(lambda: [*_chunks(), "[DONE]"])
async def closed_early(client: Client) -> Any:
    chunks = await client.value(client.chat.create(**ASK, stream=True))
    seen = await client.read(chunks, 3)
    await client.value(chunks.close())
    return seen


@scenario(lambda: [*_chunks(), "[DONE]"])
async def in_a_block(client: Client) -> Any:
    chunks = await client.value(client.chat.create(**ASK, stream=True))
    inside = await client.enter(chunks)
    seen = await client.read(inside)
    await client.leave(chunks)
    return seen


@scenario(_breaks_off)
async def breaks_off(client: Client) -> Any:
    return await client.read(await client.value(client.chat.create(**ASK, stream=True)))


@scenario(lambda: [*_chunks(), "[DONE]"])
async def helper(client: Client) -> Any:
    manager = client.chat.stream(**ASK)
    stream = await client.enter(manager)
    seen = [event.type async for event in stream] if client.is_async else [event.type for event in stream]
    final = await client.value(stream.get_final_completion())
    await client.leave(manager)
    return [seen, _plain(final)]


async def run(kind: str, client: Client, peer: Peer, model: Scripted) -> Any:
    """Make one call; return what the user sees."""
    reply, body = SCENARIOS[kind]
    model.replies = [reply()]
    with peer.around() or contextlib.nullcontext():
        try:
            return await body(client)
        except Exception as error:
            if "--debug" in sys.argv:
                traceback.print_exc()
            return {"raised": type(error).__qualname__, "text": str(error)}


def main(name: str, *orders: str) -> None:
    """Print what is seen in each order: `below` the tool, or `none` and then `above` it, which share a process."""
    peer, model, seen = TOOLS[name](), Scripted(), {}
    with contextlib.ExitStack() as stack, asyncio.Runner() as runner:
        ours: list[Any] = []
        if "below" in orders:
            ours = stack.enter_context(testing.recording())
        _ = platform.uname().processor  # openai asks for it at its first call, by a program that sentry would record
        peer.start(model.url)
        options = {"base_url": model.url, "api_key": "sk-none", "max_retries": 0}
        for order in orders:
            clients = {kind: peer.client(kind, **options) for kind in ("OpenAI", "AsyncOpenAI")}
            if order == "above":
                ours = stack.enter_context(testing.recording())
            seen[order] = _every_call(clients, runner, peer, model, ours if order != "none" else None)
            runner.run(clients["AsyncOpenAI"].close())
    print(json.dumps(seen, default=str))
    sys.stdout.flush()
    model.close()


def _every_call(
    clients: dict[str, Any], runner: asyncio.Runner, peer: Peer, model: Scripted, ours: list[Any] | None
) -> dict[str, Any]:
    """Make every call; return what is seen of it. `ours` are our events, None without the package."""
    seen = {}
    gc.freeze()  # keeps imported modules out of the collections below
    for kind in SCENARIOS:
        for made, raw_client in clients.items():
            coroutine = run(kind, Client(raw_client, made == "AsyncOpenAI"), peer, model)
            result = (runner.run if made == "AsyncOpenAI" else _run_here)(coroutine)
            gc.collect()  # some tools end their spans in a finalizer,
            runner.run(asyncio.sleep(0.01))  # or in a callback of the event loop
            if ours is not None:
                flush(5)
            seen[f"{kind} {made}"] = {"result": result, "spans": peer.spans(), "events": list(ours or ())}
            if ours is not None:
                ours.clear()
    return seen


def _run_here(coroutine: Any) -> Any:
    """Return the result of a coroutine that awaits nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the sync client awaited something")


if __name__ == "__main__":
    main(*sys.argv[1:])
