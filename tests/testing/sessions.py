"""Runs of pytest in processes of their own, whose tests use the plugin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.support import ROOT

HANDLER = """
import asyncio, os, subprocess, sys, unittest
import pytest
from zespan_serverless import _process, capture, flush, init, shutdown, span, zespan_gcf, zespan_lambda

@zespan_lambda(service_name="answer")
def handler(event, context):
    with span("look up"):
        return {"ok": True}
"""


class Session:
    """One run that has ended. `outcomes`: `PASSED`, `FAILED`, `ERROR` or `SKIPPED` by test, the last one counts."""

    def __init__(self, output: str) -> None:
        self.output = output
        line = r"^(PASSED|FAILED|ERROR|SKIPPED) (?:\[\d+\] )?test_\w+\.py(?:::|:\d+: )(\S+)"
        found: list[tuple[str, str]] = re.findall(line, output, re.MULTILINE)
        self.outcomes = {test: outcome for outcome, test in found}

    def section(self, title: str) -> str:
        """Return what the output says below this title, such as `ERROR at teardown of test_x`."""
        after = re.split(rf"^_+ {re.escape(title)} _+$", self.output, flags=re.MULTILINE)
        assert len(after) == 2, f"{len(after) - 1} sections {title!r} in:\n{self.output}"
        return re.split(r"^(?:_{3,}|={3,}) .* (?:_{3,}|={3,})$", after[1], flags=re.MULTILINE)[0]


def session(
    folder: Path,
    tests: str,
    *arguments: str,
    plugins: str = "",
    environment: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
) -> Session:
    """Run the tests in a folder, and these, which can use the names of `HANDLER`, with the plugin and with others,
    which spaces separate.
    """
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    if tests:
        (folder / "test_it.py").write_text(HANDLER + textwrap.dedent(tests))
    loaded = [word for plugin in ("zespan_serverless.testing.plugin", *plugins.split()) for word in ("-p", plugin)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ZESPAN_", "PYTEST_"))}
    command = [python, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *loaded, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert not done.stderr, done.stderr
    return Session(done.stdout)
