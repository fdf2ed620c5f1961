"""Runs the functions framework with the functions of the folder `functions`, and jobs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support import ROOT, Served

FUNCTIONS = Path(__file__).parent / "functions"

# The variables that Cloud Run sets: https://cloud.google.com/run/docs/container-contract#env-vars
CLOUD_RUN = {"K_SERVICE": "chat", "K_REVISION": "chat-00007-abc", "K_CONFIGURATION": "chat"}


class Function(Served):
    """A served function."""

    def __init__(
        self, target: str, source: str | Path, env: Mapping[str, str] | None = None, *options: str, cloud: bool = True
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        path = FUNCTIONS / source
        command = [
            *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(port)),
            *("--target", target, "--source", str(path), *options),
        ]
        environment = {**_inherited(), "THREADS": "16", **(CLOUD_RUN if cloud else {}), **(env or {})}
        super().__init__(command, port, path.parent, environment)


def job(script: str | Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Return the process of a job."""
    return subprocess.Popen(
        [sys.executable, str(FUNCTIONS / script)],
        env={**_inherited(), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _inherited() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("K_", "CLOUD_RUN_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
