"""The SDK `zespan` beside this package: each call is one event of this package, in any order of patching."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zespan_serverless
from zespan_serverless import testing

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

ROOT = str(Path(zespan_serverless.__file__).parents[1])
SCRIPT = """
    import asyncio, logging, os, sys
    import openai, zespan, zespan_serverless

    order, model, backend = sys.argv[1:]
    logging.basicConfig(format="%(message)s")

    def sdk():
        zespan.init(api_key="k", endpoint=backend + "/v1/ingest", autopatch=False)
        zespan.patch_openai()

    def ours():
        zespan_serverless.init(api_key="k", base_url=backend)

    def another_tool():
        create = openai.resources.chat.completions.Completions.create
        def silent(*args, **kwargs):
            return create(*args, **kwargs)
        openai.resources.chat.completions.Completions.create = silent

    for step in order.split():
        {"sdk": sdk, "ours": ours, "tool": another_tool}[step]()

    client = openai.OpenAI(base_url=model, api_key="k", max_retries=0)
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    assert client.chat.completions.create(model="plain", **ask).choices
    list(client.chat.completions.create(model="stream", stream=True, **ask))
    client.chat.completions.with_raw_response.create(model="raw", **ask)
    completions = client.chat.completions
    (completions if hasattr(completions, "parse") else client.beta.chat.completions).parse(model="parse", **ask)
    try:
        client.chat.completions.create(model="error-500", **ask)
    except openai.InternalServerError:
        pass

    async def asynchronous():
        async with openai.AsyncOpenAI(base_url=model, api_key="k") as client:
            await client.chat.completions.create(model="async", **ask)
            async for _ in await client.chat.completions.create(model="async stream", stream=True, **ask):
                pass

    asyncio.run(asynchronous())
    if "sdk" in order:
        zespan.get_client().flush()
    zespan_serverless.shutdown()
    os._exit(0)  # at whose end the SDK crashes Python 3.13.0
"""
CALLS = {"plain", "stream", "raw", "parse", "error-500", "async", "async stream"}


@pytest.mark.parametrize(
    "order",
    [
        "sdk ours",
        *(
            pytest.param(order, marks=pytest.mark.slow)
            for order in ("ours", "ours sdk", "sdk tool ours", "ours tool sdk", "tool sdk tool ours tool")
        ),
    ],
)
def test_one_event_a_call(order: str, model: ModelEndpoint) -> None:
    """In either order of patching, and with any tool in between."""
    with testing.Backend() as backend:
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), order, model.url, backend.url]
        environ = {**os.environ, "PYTHONPATH": ROOT}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        events = [event for event in backend.events if event["span_kind"] == "llm"]
    assert len(events) == len(CALLS), Counter(event["model"] for event in events)
    assert {event["sdk_name"] for event in events} == {"zespan-serverless-python"}
    assert sum(event["status"] == "error" for event in events) == 1
    is_said = "sdk" in order.partition("ours")[0]  # later its patch does nothing
    assert done.stderr.count("are traced by zespan_serverless instead") == is_said, done.stderr
