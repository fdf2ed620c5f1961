"""Prepares the projects of deploy/aws_lambda for their tools, and runs what the tools make."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zespan_serverless_dev.emulator.lambda_rie import Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tools import wheels
from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "deploy" / "aws_lambda"


def prepared(name: str, folder: Path) -> Path:
    """Copy the project of a tool, build the wheel that its requirements name, and leave out the other packages.

    Those are installed beside the tests: it would take minutes to fetch them for another platform.
    """
    shutil.copytree(RECIPES / name, folder)
    wheels.build(folder / "dist", (ROOT,), "wheel")
    for file in folder.rglob("requirements.txt"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if line.startswith("./dist/")))
    return folder


def ran(command: list[str | Path], folder: Path, seconds: float = 150, **environ: str) -> str:
    """Run a command in a folder without an account of AWS, and return what it prints. Fails if the command fails."""
    account = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    environment = {**os.environ, **account, "HOME": str(folder), **environ}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unpacked(archive: Path, folder: Path) -> Path:
    """The folder with what an archive has, with the files that may be run."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        for each in opened.infolist():
            if mode := each.external_attr >> 16:
                (folder / each.filename).chmod(mode)
    return folder


def invoked(
    handler: str, folder: Path, event: Any, environ: Mapping[str, str], *, count: int = 2, **options: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Invoke a function of a package twice, with a freeze in between; return its last answer and all events.

    `count` is how many events a call has; they must arrive before the freeze. `environ` is what the deployment sets.
    Only the key, which is in AWS, is replaced.
    """
    with Backend() as backend, ModelEndpoint(latency_ms=0) as model:
        local = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test"}
        local |= {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-local"}
        environ = {name: value for name, value in environ.items() if name != "ZESPAN_API_KEY_SECRET"}
        with Sandbox(handler, folder, env={**environ, **local}, **options) as sandbox:
            first = sandbox.invoke(event)
            assert first.status == 200, sandbox.log()
            backend.wait_for(count)
            sandbox.freeze()
            payload = sandbox.invoke(event).payload
            return payload, backend.wait_for(2 * count)
