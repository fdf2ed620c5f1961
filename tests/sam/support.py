"""What the tests of this folder share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from zespan_serverless_dev.emulator.model import ModelEndpoint

from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[2]
SAM = Path(os.environ.get("ZESPAN_SAM", ROOT / ".venv-sam/bin/sam"))
API_KEY = "zsp_from_parameter_store"


@dataclass
class Surroundings:
    """What functions in containers reach, and the variables that lead them there."""

    backend: Backend
    model: ModelEndpoint
    environment: dict[str, str]


def run(*command: str | Path, cwd: Path = ROOT, stdin: str = "", **environment: str) -> str:
    """What a command prints to stdout; it finds the Python of these tests first, and sends no usage statistics."""
    variables = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", **environment}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=variables, input=stdin, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
