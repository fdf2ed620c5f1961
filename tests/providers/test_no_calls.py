"""Requests of the SDKs that run no model, or only later: they make no event, and count no tokens twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.apis.anthropic_ import ANTHROPIC
from tests.providers.apis.openai_ import RESPONSES, openai_client
from tests.providers.endpoint import Json, Reply, serving, whole
from zespan_serverless import flush, testing

BATCH: Json = {
    "id": "b",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": "2026-01-02T00:00:00Z",
    "results_url": "/results",
}
ASK: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def _answer(path: str, request: Json) -> Reply:
    """Return an answer with tokens wherever there is one."""
    if "responses" in path:
        return RESPONSES.answer
    if path.endswith("/count_tokens"):
        return whole({"input_tokens": 5})
    return whole(BATCH)


CALLS: dict[str, Any] = {
    "count_tokens": lambda client: client.messages.count_tokens(model="m", messages=ASK["messages"]),
    "batches.create": lambda client: client.messages.batches.create(requests=[{"custom_id": "1", "params": ASK}]),
    "batches.cancel": lambda client: client.messages.batches.cancel("b"),
    "responses.cancel": lambda client: client.responses.cancel("resp_1"),
    "responses.compact": lambda client: client.responses.compact(model="m", input="Hi"),
    "responses.input_tokens": lambda client: client.responses.input_tokens.count(model="m", input="Hi"),
    "batches.retrieve": lambda client: client.messages.batches.retrieve("b"),
    "responses.retrieve": lambda client: client.responses.retrieve("resp_1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_runs_no_model_is_no_event(name: str, is_async: bool) -> None:
    """Counting, batches, and what is asked of an answer that has been made elsewhere."""
    connect = openai_client if name.startswith("responses") else ANTHROPIC.connect

    async def call(client: Any) -> None:
        made = CALLS[name](client)
        if is_async:
            await made
            await client.close()

    with serving(_answer) as endpoint, testing.recording() as events:
        asyncio.run(call(connect(endpoint.url, is_async)))
        flush()
        assert len(endpoint.requests) == 1
    assert events == []
