"""With `cap_timeouts` a call ends before its invocation does, whatever the provider does, by the SDK's own error."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import inspect
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from zespan_serverless import flush, testing, time_left, zespan_lambda

from .apis import APIS
from .apis.api import Api
from .endpoint import serving
from .slow import MODES, slow
from .test_apis import play
from .user import close, insist

_IGNORED = ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.slow, *(pytest.mark.filterwarnings(f"ignore::{name}") for name in _IGNORED)]

LIMIT = 4.0
CAP = 3.0
"""Seconds of an invocation, and of those that are kept: 0.8 are left for the call."""
TIMEOUTS = {
    "APITimeoutError",  # openai, anthropic, groq
    "ConnectTimeout",  # httpx
    "ReadTimeout",
    "ConnectTimeoutError",  # botocore
    "ReadTimeoutError",
    "AioReadTimeoutError",
    "TimeoutError",  # aiohttp
    "ServerTimeoutError",
    "SocketTimeoutError",
}
REFUSALS = {
    "429": {"RateLimitError", "SDKError", "TooManyRequestsError", "ClientError", "ThrottlingException"},
    "500": {"InternalServerError", "SDKError", "ServerError", "ClientError"},
}
NAMES = (
    *("openai responses", "anthropic messages", "groq chat", "mistral chat", "cohere chat"),
    *("google generate_content", "bedrock converse", "bedrock invoke_model"),
)


def _connect(api: Api, url: str, is_async: bool) -> Any:
    """A client that tries again, as the SDKs do by default, or can be told to."""
    client = api.connect(url, is_async)
    insist(client, 500, 60000, 1.5, 300000)
    if api.name.startswith("google"):
        from google import genai

        retries = {"attempts": 3, "initial_delay": 60.0}
        client = genai.Client(api_key="k", http_options={"base_url": url, "retry_options": retries})  # type: ignore[arg-type]
        client = client.aio if is_async else client
    return client


async def _use(client: Any, api: Api, is_stream: bool) -> None:
    """Make a call, and read all that it gives."""
    result: Any = (api.stream if is_stream else api.ask)(client)  # type: ignore[misc]
    result = await result if inspect.isawaitable(result) else result
    body: Any = result.get("body") if isinstance(result, dict) else None
    if not is_stream:
        if hasattr(body, "read"):
            data = body.read()
            _ = await data if inspect.isawaitable(data) else data
        return
    if isinstance(result, dict):
        result = body or result["stream"]
    if hasattr(result, "__aiter__"):
        async for _ in result:
            pass
    else:
        for _ in result:
            pass


def call(api: Api, url: str, *, is_stream: bool, is_async: bool, cap: float | bool = CAP) -> tuple[Any, float, Any]:
    """Return the exception of a call in an invocation, the seconds that are left then, and the event."""
    failed: list[BaseException] = []
    left: list[float] = []

    context = testing.LambdaContext(timeout=60)

    async def work() -> None:
        async with AsyncExitStack() as stack:
            client = _connect(api, url, is_async)
            if hasattr(client, "__aenter__") and "aiobotocore" in type(client).__module__:
                client = await stack.enter_async_context(client)
            context._deadline = time.time() + LIMIT  # from now on: to make a client may take a second
            try:
                await _use(client, api, is_stream)
            except Exception as error:
                failed.append(error.with_traceback(None))  # which holds the connection
            left.append(time_left() or 0.0)
            await close(client)
        gc.collect()

    @zespan_lambda
    def handler(event: object, _: object) -> None:
        asyncio.run(work())

    with testing.recording(cap_timeouts=cap) as events:
        handler({}, context)
        flush(5)
    (event,) = [event for event in events if event["span_kind"] == "llm"]
    return failed[0] if failed else None, left[0], event


@functools.cache
def warm_up(name: str, is_async: bool) -> None:
    """Import what an SDK imports when it is first called, which may take longer than these invocations."""
    with serving(APIS[name].reply) as endpoint:
        play(APIS[name], endpoint, "ask", is_async=is_async, traced=False)


def _piece(api: Api) -> tuple[str, bytes]:
    """Return the content type of a stream, and a piece of it that is followed by others."""
    assert api.streamed is not None
    _, headers, pieces = api.streamed
    piece = pieces[0 if api.name.startswith("google") else min(1, len(pieces) - 2)]
    assert piece is not None
    return headers["content-type"], piece


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_call_ends_before_its_invocation(name: str, mode: str, is_async: bool) -> None:
    """The provider hangs, drips its headers, its body or a stream, or wants another try in a minute."""
    api = APIS[name]
    is_stream = mode == "drip pieces"
    warm_up(name, is_async)
    with slow(mode, *_piece(api)) as server:
        error, left, event = call(api, server.url, is_stream=is_stream, is_async=is_async)
    expected = REFUSALS.get(mode, TIMEOUTS)
    if name.startswith(
        "bedrock"
    ):  # its pauses are random, whatever Retry-After says: the last try may not have the time
        expected = expected | TIMEOUTS
    assert type(error).__name__ in expected, repr(error)
    assert left > 1.0
    assert server.requests >= 1
    assert event["status"] == "error"
    assert event["metadata"]["error.type"] == type(error).__name__


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ["hang", "drip body"])
def test_a_raw_response_that_streams_ends_in_time(mode: str, is_async: bool) -> None:
    """It is read by the user, after the call."""
    api = APIS["openai responses"]
    warm_up(api.name, is_async)

    def ask(client: Any) -> Any:
        return _read_raw_async(client) if is_async else _read_raw(client)

    with slow(mode) as server:
        error, left, event = call(dataclasses.replace(api, ask=ask), server.url, is_stream=False, is_async=is_async)
    assert type(error).__name__ in TIMEOUTS, repr(error)
    assert left > 1.0
    assert event["model"] == "gpt-5-mini"


def _read_raw(client: Any) -> None:
    with client.responses.with_streaming_response.create(model="gpt-5-mini", input="?") as response:
        for _ in response.iter_bytes():
            pass


async def _read_raw_async(client: Any) -> None:
    async with client.responses.with_streaming_response.create(model="gpt-5-mini", input="?") as response:
        async for _ in response.iter_bytes():
            pass


def test_a_timeout_of_the_users_own_stays() -> None:
    """It is shorter than what the invocation has left."""
    api = APIS["openai responses"]
    warm_up(api.name, False)

    def ask(client: Any) -> Any:
        client.timeout, client.max_retries = 0.2, 0
        return client.responses.create(model="gpt-5-mini", input="?")

    with slow("hang") as server:
        error, left, _ = call(dataclasses.replace(api, ask=ask), server.url, is_stream=False, is_async=False, cap=0.1)
    assert type(error).__name__ == "APITimeoutError"
    assert left > 2.0


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_in_time_is_as_without(name: str, is_async: bool) -> None:
    """A call that is not cut has the same result, the same request, and the same event."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        for what in ("ask", "read"):
            bare = play(api, endpoint, what, is_async=is_async, traced=False)
            ours = play(api, endpoint, what, is_async=is_async, cap_timeouts=0.1)
            assert ours.seen == bare.seen
            assert ours.only()["status"] == "success"
        assert len(endpoint.requests) == 4


def test_what_other_threads_see_of_a_client_does_not_change() -> None:
    """Timeouts are cut in the request, not in the client that several threads share."""
    api = APIS["openai responses"]
    seen: list[Any] = []

    def ask(client: Any) -> Any:
        seen.append((client.timeout, client.max_retries, client._client.timeout, client._client.event_hooks))
        try:
            return client.responses.create(model="gpt-5-mini", input="?")
        finally:
            seen.append((client.timeout, client.max_retries, client._client.timeout, client._client.event_hooks))

    def reply(path: str, request: Any) -> Any:
        seen.append(seen[0])
        return api.reply(path, request)

    with serving(reply) as endpoint:
        call(dataclasses.replace(api, ask=ask), endpoint.url, is_stream=False, is_async=False)
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]


def test_a_call_without_a_deadline_is_not_cut() -> None:
    """A script may wait."""
    import openai

    from zespan_serverless import init, shutdown

    with slow("hang") as server, testing.recording(cap_timeouts=True):
        init()
        assert time_left() is None
        with (
            openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=0.3) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            client.responses.create(model="gpt-5-mini", input="?")
        shutdown()
    assert server.requests == 1
