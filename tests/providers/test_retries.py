"""What an SDK tries again is one call, whose event has the number of retries."""

from __future__ import annotations

import asyncio
import gc
import inspect
from contextlib import AsyncExitStack
from typing import Any

import pytest

from zespan_serverless import flush, testing, zespan_lambda

from .apis import APIS
from .apis.api import Api
from .endpoint import Json, Reply, serving, whole
from .test_deadlines import NAMES
from .user import close, insist

_IGNORED = ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.slow, *(pytest.mark.filterwarnings(f"ignore::{name}") for name in _IGNORED)]

REFUSAL: Json = {"error": {"message": "later", "code": 500, "status": "X"}, "message": "later", "id": "e"}
COUNT = "http.request.resend_count"


def _connect(api: Api, url: str, is_async: bool) -> Any:
    """Return a client that tries again, soon, where that can be told."""
    client = api.connect(url, is_async)
    insist(client, 1, 2, 1.1, 1500)
    if api.name.startswith("google"):
        from google import genai

        retries = {"attempts": 3, "initial_delay": 0.01, "max_delay": 0.02}
        client = genai.Client(api_key="k", http_options={"base_url": url, "retry_options": retries})  # type: ignore[arg-type]
        client = client.aio if is_async else client
    return client


async def _read(result: Any) -> None:
    body: Any = result.get("body") or result.get("stream") if isinstance(result, dict) else result
    if hasattr(body, "read"):
        data = body.read()
        _ = await data if inspect.isawaitable(data) else data
    elif hasattr(body, "__aiter__"):
        async for _ in body:
            pass
    elif hasattr(body, "__next__") or type(body).__name__ in ("Stream", "EventStream"):
        for _ in body:
            pass


def play(api: Api, url: str, *, is_stream: bool, is_async: bool) -> tuple[BaseException | None, Json]:
    """Return the exception of a call, and its event."""
    failed: list[BaseException] = []

    async def work() -> None:
        async with AsyncExitStack() as stack:
            client = _connect(api, url, is_async)
            if hasattr(client, "__aenter__") and "aiobotocore" in type(client).__module__:
                client = await stack.enter_async_context(client)
            try:
                result = (api.stream if is_stream else api.ask)(client)  # type: ignore[misc]
                await _read(await result if inspect.isawaitable(result) else result)
            except Exception as error:
                failed.append(error.with_traceback(None))  # which holds the connection
            await close(client)
        gc.collect()

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        asyncio.run(work())

    with testing.recording() as events:
        handler({}, testing.LambdaContext(timeout=60))
        flush(5)
    (event,) = [event for event in events if event["span_kind"] == "llm"]
    return failed[0] if failed else None, event


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["answer", "stream"])
@pytest.mark.parametrize("name", NAMES)
def test_a_retry_that_succeeds_is_counted(name: str, is_stream: bool, is_async: bool) -> None:
    """The provider refuses once, and answers then; without a refusal there is no number."""
    api, refusals = APIS[name], [500]

    def reply(path: str, request: Json) -> Reply:
        if refusals:
            return whole(REFUSAL, status=refusals.pop())
        return api.reply(path, request)

    if is_stream and name.startswith(("mistral", "cohere")):
        pytest.skip("this SDK does not try again to open a stream")
    with serving(reply) as endpoint:
        error, event = play(api, endpoint.url, is_stream=is_stream, is_async=is_async)
        assert (error, len(endpoint.requests)) == (None, 2)
        assert (event["status"], event["metadata"][COUNT]) == ("success", 1)
        _, event = play(api, endpoint.url, is_stream=is_stream, is_async=is_async)
    assert COUNT not in event.get("metadata", {})
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", NAMES)
def test_retries_that_all_fail_are_counted(name: str, is_async: bool) -> None:
    """The event is the error of the last one."""
    with serving(lambda path, request: whole(REFUSAL, status=500)) as endpoint:
        error, event = play(APIS[name], endpoint.url, is_stream=False, is_async=is_async)
    assert error is not None
    assert len(endpoint.requests) >= 3
    assert (event["status"], event["metadata"][COUNT]) == ("error", len(endpoint.requests) - 1)
    assert event["metadata"]["error.type"] == type(error).__name__
