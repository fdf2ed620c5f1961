"""Spans of other tools, as their own exporters send them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint
from zespan_serverless_dev.server import DevServer

from tests import environments

pytestmark = pytest.mark.host(seconds=4)


@pytest.mark.parametrize(
    ("tool", "format", "compression"),
    [("opentelemetry", "proto", "gzip"), ("traceloop", "proto", "deflate"), ("openinference", "json", "gzip")],
)
def test_calls_that_another_tool_has_traced(tool: str, format: str, compression: str) -> None:
    """Model, tokens, prompt, answer and tool calls are found under the names of each tool, in each format."""
    python, exporters = environments.installed("peers", tool), environments.installed("otlp", "opentelemetry")
    (site,) = (exporters.parents[1] / "lib").glob("python*/site-packages")
    with DevServer() as dev, ModelEndpoint(latency_ms=0) as model:
        arguments = [tool, format, compression, f"{dev.url}/v1/traces", model.url]
        path = os.pathsep.join([str(environments.ROOT), str(environments.ROOT / "dev"), str(site)])
        environments.run(python, "tests.dev.ingest.instrumented", *arguments, PYTHONPATH=path)
        (row,) = dev.get("invocations")["rows"]
        spans = dev.get(f"trace/{row['trace_id']}")["spans"]
        (sandbox,) = dev.get("sandboxes")["sandboxes"]
    assert (row["function"], row["calls"], row["tokens"]) == ("weather-service", 2, {"input": 24, "output": 10})
    assert (row["status"], row["state"], sandbox["function"]) == ("ok", "delivered", "weather-service")
    first, second = (span for span in spans if span["kind"] == "llm")
    assert (first["provider"], first["model"], first["status"]) == ("openai", "gpt-4o-mini", "ok")
    assert _texts(first["input"]) == [("system", "Be brief."), ("user", "Grüße")]
    assert _texts(first["output"]) == [("assistant", "Hello, serverless world!")]
    (call,) = (part for message in second["output"] for part in message["parts"] if part["type"] == "tool_call")
    assert call["name"] == "weather"
    if tool != "opentelemetry":  # which does not tell them
        assert "weather" in str(second["tools"])


OFFICIAL = """
import os, openai, zespan
zespan.init(api_key="zsp_local", endpoint=os.environ["ENDPOINT"], autopatch=False)
zespan.patch_openai()
openai.OpenAI(api_key="none").chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
zespan.get_client().flush()
"""


def test_events_of_the_official_sdk() -> None:
    """What Zespan's own SDK sends is read as this package's events are."""
    with DevServer() as dev, ModelEndpoint(latency_ms=0) as model:
        environ = {**os.environ, "ENDPOINT": f"{dev.url}/v1/ingest", "OPENAI_BASE_URL": model.url}
        done = subprocess.run(
            [sys.executable, "-c", OFFICIAL], env=environ, capture_output=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr
        (row,) = dev.get("invocations")["rows"]
        (span,) = dev.get(f"trace/{row['trace_id']}")["spans"]
    assert (span["provider"], span["model"], span["status"]) == ("openai", "gpt-4o", "ok")
    assert (span["tokens"]["input"], span["tokens"]["output"]) == (12, 5)
    assert _texts(span["output"]) == [("assistant", "Hello, serverless world!")]


def _texts(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    parts = [(message["role"], part) for message in messages for part in message["parts"]]
    return [(role, part["content"]) for role, part in parts if part["type"] == "text"]
