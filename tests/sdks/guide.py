"""Runs a function that follows the guide of the SDK `zespan`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zespan_serverless
from zespan_serverless import testing

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

ROOT = str(Path(zespan_serverless.__file__).parents[1])
GUIDE = """
    import json, os, sys, threading, time
    import openai, zespan

    model, backend = sys.argv[1:]
    zespan.init(api_key="zsp_guide", endpoint=backend + "/v1/ingest", environment="staging", autopatch=False{init})
    {patch}
    client = openai.OpenAI(base_url=model, api_key="k", max_retries=0)

    from zespan_serverless import testing, zespan_lambda

    @zespan_lambda(flush_mode="before_return")
    def handler(event, context):
        {body}
        return "done"

    for number in range({calls}):
        assert handler({{}}, testing.LambdaContext()) == "done"
    for _ in range(50):  # a thread that was there before us ends when it wakes up
        if not any("flush_loop" in thread.name for thread in threading.enumerate()):
            break
        time.sleep(0.1)
    print(sorted(thread.name for thread in threading.enumerate() if "flush_loop" in thread.name))
    print(zespan.get_client()._batch_engine._queue)
    os._exit(0)
"""
ASK = 'client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])'
Event = dict[str, Any]


def play(
    model: ModelEndpoint,
    body: str,
    *,
    init: str = "",
    patch: str = "zespan.patch_openai()",
    calls: int = 1,
    mode: Any = "ok",
    retry_after: str | None = None,
    **environ: str,
) -> Any:
    """(events, what the script has printed, its log). `mode` is the backend's."""
    script = textwrap.dedent(GUIDE).format(
        init=init, patch=patch, calls=calls, body=textwrap.indent(textwrap.dedent(body).strip(), " " * 4).strip()
    )
    kept = {name: value for name, value in os.environ.items() if name != "ZESPAN_API_KEY"}
    with testing.Backend() as backend:
        backend.mode, backend.retry_after = mode, retry_after
        done = subprocess.run(
            [sys.executable, "-c", script, model.url, backend.url],
            env={**kept, "PYTHONPATH": ROOT, "ZESPAN_ENABLED": "1", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert all(request.headers["x-api-key"] == "zsp_guide" for request in backend.requests)
        return backend.events, done.stdout, done.stderr
