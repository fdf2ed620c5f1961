"""Scripts in processes of their own, with a backend on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(backend: Backend, tmp_path: Path) -> Iterator[Start]:
    """start(code, **environment): runs a file `job.py` with that code, in its own session; killed after the test."""
    with ExitStack() as stack:

        def start(code: str, **environment: str) -> subprocess.Popen[str]:
            file = tmp_path / "job.py"
            file.write_text(code)
            process = subprocess.Popen(
                [sys.executable, str(file)],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    "ZESPAN_API_KEY": "zsp_test",
                    "ZESPAN_BASE_URL": backend.url,
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start
