"""The application that Zappa deploys: what `zappa package` makes of it, and that this runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.invoke import samples

from tests.deploy.support import invoked, prepared, ran, unpacked
from tests.environments import installed

pytestmark = [
    pytest.mark.host(seconds=20),
    pytest.mark.timeout(400),  # the first test waits for the tool, on a machine that may be busy
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what Zappa packs: the application, Zappa's own handler, and the environment's packages."""
    python = installed("deploy", "zappa")
    folder = prepared("zappa", tmp_path_factory.mktemp("zappa") / "app")
    (wheel,) = (folder / "dist").iterdir()
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--reinstall"]
    subprocess.run([*install, "--python", python, wheel], check=True, timeout=60)
    file = folder / "zappa_settings.json"
    settings = json.loads(file.read_text())
    local = {"runtime": f"python3.{sys.version_info.minor}", "architecture": "x86_64"}
    file.write_text(json.dumps({"dev": {**settings["dev"], **local}}))
    command: list[str | Path] = [python.parent / "zappa", "package", "dev", "-o", "out.zip"]
    ran(command, folder, VIRTUAL_ENV=str(python.parents[1]), PATH=f"{python.parent}:/usr/bin:/bin")
    return unpacked(folder / "out.zip", folder / "unpacked")


@pytest.mark.parametrize("event", ["apigw-v1 POST /ask", "alb POST /ask"])
def test_the_package_runs(event: str, packaged: Path) -> None:
    """Zappa's handler answers under AWS's emulator, and the middleware delivers before each response ends."""
    sample: Any = samples.sample(event, {"prompt": "Hi"})
    answer, events = invoked("handler.lambda_handler", packaged, sample, {})
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["answer"]
    assert [each["span_kind"] for each in events].count("llm") == 2
    (operation,) = {each["operation"] for each in events if each["span_kind"] != "llm"}
    assert operation.startswith("POST ")
