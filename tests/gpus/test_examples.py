"""The examples, which are those of the pages, in their runtimes."""

from __future__ import annotations

import json
import subprocess

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.documentation import PAGES, blocks
from tests.support import ROOT, TRACE, TRACEPARENT, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=4)

EXAMPLES = ROOT / "examples" / "gpus"
INPUT = {"prompt": "Hi", "traceparent": TRACEPARENT}

# Each prints the answer of the example.
RUNPOD = """
import runpod, sys
sys.argv += ["--test_input", '{"input": %s}']
from handler import handler
runpod.serverless.start({"handler": handler})
"""
COG = """
import run
runner = run.Runner()
runner.setup()
print(runner.run(prompt="Hi"))
"""
MODAL = """
import app
from modal._serialization import deserialize, serialize
from zespan_serverless import zespan_modal
asked = %s
serialized = serialize(zespan_modal(lambda given: given["prompt"]))  # as `serialized=True` does
assert deserialize(serialized, None)(asked) == "Hi"
print(app.answer.local(asked))
"""


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [("runpod", "handler.py", RUNPOD % json.dumps(INPUT)), ("cog", "run.py", COG), ("modal", "app.py", MODAL % INPUT)],
)
def test_the_example_of_the_page_is_traced(name: str, file: str, code: str, backend: Backend) -> None:
    """The page's code is the example; it answers, and its model call is below the event of the call."""
    (block,) = blocks(PAGES[f"hosts/{name}"])
    assert (EXAMPLES / file).read_text().partition('"""\n\n')[2] == block.partition("\n")[2]
    with ModelEndpoint(latency_ms=0) as model:
        env = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{EXAMPLES}",
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend.url,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": model.url,
        }
        command = [str(environments.installed("gpus", name)), "-W", "ignore", "-c", code]
        done = subprocess.run(command, env=env, cwd=EXAMPLES, capture_output=True, text=True, timeout=100, check=False)
    assert "Hello, serverless world!" in done.stdout, done.stderr
    (root,) = [root for root in roots(backend.events) if root["operation"] != "lambda"]
    (call,) = calls(backend.events)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert name == "cog" or root["trace_id"] == TRACE
