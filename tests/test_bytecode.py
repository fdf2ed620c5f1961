"""Bytecode in a deployment package, as deploy/aws_lambda/README.md has installers make it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import wheels

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "deploy" / "aws_lambda" / "README.md"
BY_TIME, CHECKED, UNCHECKED = (flags.to_bytes(4, "little") for flags in (0, 3, 1))  # PEP 552

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # building and installing take seconds


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's wheel."""
    (file,) = wheels.build(tmp_path_factory.mktemp("dist"), (ROOT,), "wheel")
    return file


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("pip install ...", BY_TIME),
        ("SOURCE_DATE_EPOCH=315532800 pip install ...", CHECKED),
        ("PYC_INVALIDATION_MODE=UNCHECKED_HASH uv pip install --compile-bytecode ...", UNCHECKED),
    ],
)
def test_what_installers_compile(command: str, kind: bytes, wheel: Path, tmp_path: Path) -> None:
    """The commands of the page make bytecode that does not depend on the times of files, unlike pip by itself."""
    if kind != BY_TIME:
        assert f"`{command}`" in PAGE.read_text()
    words = command.removesuffix(" ...").split()
    variables = dict(word.split("=") for word in words if "=" in word)
    typed = [word for word in words if "=" not in word]
    inherited = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "to"), str(wheel)]
    subprocess.run([sys.executable, "-m", *typed, *options], env={**inherited, **variables}, check=True)
    compiled = [*(tmp_path / "to" / "zespan_serverless").rglob("*.pyc")]
    assert len(compiled) > 100
    assert {file.read_bytes()[4:8] for file in compiled} == {kind}
