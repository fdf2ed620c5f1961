"""The package as users have it: installed among other packages, in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zespan_serverless

from .. import environments


@pytest.fixture(scope="package")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the package and OpenTelemetry's SDK, from which one class derives."""
    telemetry = environments.installed("sdks", "opentelemetry")
    folder = tmp_path_factory.mktemp("typing") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (site,) = folder.glob("lib/python*/site-packages")
    (others,) = telemetry.parent.parent.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{others}\n")
    package = Path(zespan_serverless.__file__).parent
    shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "bin" / "python"
