"""The examples of docs/testing.md, each in a run of pytest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.testing.sessions import session

BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
ON_LAMBDA = [block for block in BLOCKS if "lambda_sandbox" in block]


def test_the_examples_pass(tmp_path: Path) -> None:
    """As they stand on the page."""
    blocks = [block for block in BLOCKS if block not in ON_LAMBDA]
    for number, block in enumerate(blocks):
        (tmp_path / f"test_{number}.py").write_text(block)
    run = session(tmp_path, "", "--zespan-report")
    assert run.outcomes == dict.fromkeys(re.findall(r"def (test_\w+)", "".join(blocks)), "PASSED"), run.output


@pytest.mark.host(seconds=3)
def test_the_example_on_the_emulator_passes(tmp_path: Path) -> None:
    """As it stands on the page."""
    (block,) = ON_LAMBDA
    (tmp_path / "test_lambda.py").write_text(block)
    run = session(tmp_path, "")
    assert run.outcomes == {"test_on_lambda": "PASSED"}, run.output
