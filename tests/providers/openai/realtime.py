"""A stand-in for OpenAI's Realtime API on a real WebSocket, and users of the SDK's two kinds of connections."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from http import HTTPStatus
from typing import Any

import openai
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from zespan_serverless import flush, testing, zespan_lambda

Json = dict[str, Any]
Step = Json | Callable[[ServerConnection], object]
SOUND = "UklGRiQAAABXQVZF" * 4  # what no event may have
SESSION: Json = {
    "type": "realtime",
    "model": "gpt-realtime-2025-08-28",
    "instructions": "Speak quickly.",
    "audio": {"input": {"transcription": None}},
}
_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def event(kind: str, **fields: Any) -> Json:
    """Return an event of the server's that has all that the SDK's type for it requires."""
    made = {"type": kind, "event_id": "event_1", **fields}
    assert _EVENT.validate_python(made).type == kind
    return made


def delta(kind: str, text: str, response: str = "resp_1") -> Json:
    where = {"item_id": "item_1", "output_index": 0}
    where |= {} if "arguments" in kind else {"content_index": 0}
    where |= {"call_id": "c"} if "function" in kind else {}
    return event(f"response.{kind}.delta", response_id=response, delta=text, **where)


USAGE: Json = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {
        "text_tokens": 60,
        "audio_tokens": 40,
        "cached_tokens": 30,
        "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 10},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
}
SPOKEN: Json = {
    "id": "item_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_audio", "transcript": "It is sunny."}],
}
CALL: Json = {
    "id": "item_2",
    "type": "function_call",
    "status": "completed",
    "call_id": "c",
    "name": "weather",
    "arguments": '{"city": "Bern"}',
}


def created(response: str = "resp_1") -> Json:
    fields: Json = {"id": response, "object": "realtime.response", "status": "in_progress", "output": [], "usage": None}
    return event("response.created", response=fields)


def done(*output: Json, response: str = "resp_1", status: str = "completed", **more: Any) -> Json:
    fields = {"id": response, "status": status, "output": [*output], "usage": USAGE, "conversation_id": "conv_1"}
    return event("response.done", response={**fields, **more})


ANSWER: list[Step] = [
    created(),
    event("response.output_item.added", response_id="resp_1", output_index=0, item={**SPOKEN, "content": []}),
    delta("output_audio", SOUND),
    delta("output_audio_transcript", "It is "),
    delta("output_audio", SOUND),
    delta("output_audio_transcript", "sunny."),
    event("response.output_item.done", response_id="resp_1", output_index=0, item=SPOKEN),
    done(SPOKEN),
    event("rate_limits.updated", rate_limits=[]),
]


@contextmanager
def serving(*scripts: Sequence[Step], session: Json = SESSION, status: int = 101) -> Iterator[str]:
    """Serve the API, and give its address. Each `response.create` or commit of sound is answered by the next script."""

    def answer(socket: ServerConnection) -> None:
        left, settings = [*scripts], session
        socket.send(json.dumps(event("session.created", session=settings)))
        for message in socket:
            asked = json.loads(message)
            steps: Sequence[Step] = []
            if asked["type"] == "session.update":
                settings = {**settings, **asked["session"]}
                steps = [event("session.updated", session=settings)]
            elif asked["type"] == "conversation.item.create":
                steps = [event("conversation.item.added", item=asked["item"])]
            elif asked["type"] in ("response.create", "input_audio_buffer.commit"):
                steps = left.pop(0)
            for step in steps:
                if callable(step):
                    step(socket)
                else:
                    socket.send(json.dumps(step))

    def handle(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):  # the user has left
            answer(socket)

    def refuse(socket: ServerConnection, request: object) -> Any:
        return None if status == 101 else socket.respond(HTTPStatus(status), "no")

    with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


class User:
    """Uses a connection of either kind in the same words, and notes what the SDK gives."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.seen: list[str] = []

    async def say(self, kind: str, **fields: Any) -> None:
        result = self.connection.send({"type": kind, **fields})
        assert (await result if inspect.isawaitable(result) else result) is None

    async def ask(self, text: str = "What is the weather in Bern?", **response: Any) -> None:
        part = {"type": "input_text", "text": text}
        await self.say("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        await self.say("response.create", **({"response": response} if response else {}))

    async def read(self, kind: str = "response.done", times: int = 1) -> None:
        """Read until an event of this kind has come so many times."""
        while times:
            result = self.connection.recv()
            found = await result if inspect.isawaitable(result) else result
            self.seen.append(f"{type(found).__name__} {found.model_dump_json()}")
            times -= found.type == kind

    async def close(self) -> None:
        result = self.connection.close()
        if inspect.isawaitable(result):
            await result


Work = Callable[[User], Awaitable[None]]


class Played:
    """What a user has seen, and the events of the calls."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.events: list[Json] = []

    @property
    def calls(self) -> list[Json]:
        return [event for event in self.events if event["span_kind"] in ("llm", "audio")]

    def only(self) -> Json:
        (call,) = self.calls
        return call


def manager_of(url: str, *, is_async: bool, beta: bool = False, model: str = "gpt-realtime") -> Any:
    kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    address = url.replace("http:", "ws:")  # else the beta would use TLS, and so would older versions
    client: Any = kind(base_url=url, websocket_base_url=address, api_key="k")
    return (client.beta if beta else client).realtime.connect(model=model)


def play(url: str, work: Work, *, is_async: bool, traced: bool = True, beta: bool = False, **settings: Any) -> Played:
    """Have the work done on a connection that a `with` block opens, in a Lambda function."""
    played = Played()

    async def used() -> None:
        try:
            async with AsyncExitStack() as stack:
                manager = manager_of(url, is_async=is_async, beta=beta)
                enter: Any = stack.enter_async_context if is_async else stack.enter_context
                entered = enter(manager)
                user = User(await entered if is_async else entered)
                user.seen = played.seen
                await work(user)
        except Exception as error:
            played.seen.append(f"raised {type(error).__name__}: {error}")
        gc.collect()

    if not traced:
        asyncio.run(used())
        return played

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        asyncio.run(used())

    with testing.recording(**settings) as events:
        handler({}, testing.LambdaContext())
        flush(5)
    played.events = list(events)
    return played
