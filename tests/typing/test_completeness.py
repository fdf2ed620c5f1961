"""Nothing that users can reach has a type that a type checker would have to guess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host(seconds=15)

WITH_A_BASE_THAT_IS_NOT_INSTALLED = {
    "zespan_serverless.adk.ZespanPlugin",
    "zespan_serverless.rq.ZespanSimpleWorker",
    "zespan_serverless.rq.ZespanSpawnWorker",
    "zespan_serverless.rq.ZespanWorker",
    "zespan_serverless.temporal.ZespanInterceptor",
}
"""Classes of ADK's, RQ's and Temporal's packages, which their users have."""


def test_the_type_of_every_public_name_is_known(python: Path) -> None:
    """pyright finds the declared type of every name, parameter, result and attribute of the installed package."""
    environ = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}  # pyright asks its `python`
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--outputjson",
        "--ignoreexternal",
        "--verifytypes",
        "zespan_serverless",
    ]
    done = subprocess.run(
        command, env=environ, cwd=python.parent, capture_output=True, text=True, timeout=110, check=False
    )
    found = json.loads(done.stdout)["typeCompleteness"]
    lacking = [one["name"] for one in found["symbols"] if not one["isTypeKnown"] or one["isTypeAmbiguous"]]
    assert set(lacking) == WITH_A_BASE_THAT_IS_NOT_INSTALLED
    assert found["exportedSymbolCounts"]["withAmbiguousType"] == 0
    assert found["exportedSymbolCounts"]["withUnknownType"] == len(lacking)
    assert found["exportedSymbolCounts"]["withKnownType"] > 500
