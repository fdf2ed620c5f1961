"""The examples of docs/testing.md, each in a run of pytest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.testing.sessions import session

BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
ON_LAMBDA = [block for block in BLOCKS if "lambda_sandbox" in block]


@pytest.mark.slow
def test_the_examples_pass(tmp_path: Path) -> None:
    """As they stand on the page."""
    blocks = [block for block in BLOCKS if block not in ON_LAMBDA]
    for number, block in enumerate(blocks):
        (tmp_path / f"test_{number}.py").write_text(block)
    run = session(tmp_path, "", "--zespan-report")
    assert run.outcomes == dict.fromkeys(re.findall(r"def (test_\w+)", "".join(blocks)), "PASSED"), run.output


SANDBOXES = """
import pytest

HANDLER = "from zespan_serverless import zespan_lambda\\n@zespan_lambda\\ndef handler(event, context): return 1"

def test_lost(lambda_sandbox, zespan_backend, tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    zespan_backend.mode = "refuse"
    assert lambda_sandbox("app.handler", tmp_path).invoke().payload == 1

def test_refused(lambda_sandbox, zespan_backend, tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    zespan_backend.mode = 400
    assert lambda_sandbox("app.handler", tmp_path).invoke().payload == 1
"""


@pytest.mark.host(seconds=5)
def test_what_a_sandbox_loses_fails_the_test(tmp_path: Path) -> None:
    """It is named, with the reason, and drawn."""
    (tmp_path / "test_lambda.py").write_text(SANDBOXES)
    run = session(tmp_path, "")
    assert run.outcomes == {"test_lost": "ERROR", "test_refused": "ERROR"}, run.output
    lost, refused = (run.section(f"ERROR at teardown of test_{name}") for name in ("lost", "refused"))
    assert "1 event of this test did not arrive" in lost
    assert "emulated: waiting, the sandbox has ended without having delivered it" in lost
    assert "emulated: dropped, refused (HTTP 400 from http://127.0.0.1:" in refused
    assert re.search(r"^    \d\d:\d\d:\d\d\.\d{3} emulated ", refused, re.MULTILINE)


@pytest.mark.host(seconds=3)
def test_the_example_on_the_emulator_passes(tmp_path: Path) -> None:
    """As it stands on the page."""
    (block,) = ON_LAMBDA
    (tmp_path / "test_lambda.py").write_text(block)
    run = session(tmp_path, "")
    assert run.outcomes == {"test_on_lambda": "PASSED"}, run.output
