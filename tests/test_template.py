"""sam-template.yaml, judged by AWS's own SAM CLI."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "sam-template.yaml"
SAM = Path(os.environ.get("ZESPAN_SAM", ROOT / ".venv-sam/bin/sam"))


def validate(template: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SAM, "validate", "--lint", "--template-file", template],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(not SAM.exists(), reason="no SAM CLI: `make test` installs it in .venv-sam, or set ZESPAN_SAM")
def test_sam_finds_nothing_wrong(tmp_path: Path) -> None:
    """The template passes `sam validate --lint`, which does find a misspelt property."""
    good = validate(TEMPLATE)
    assert good.returncode == 0, good.stdout + good.stderr
    (misspelt := tmp_path / "template.yaml").write_text(TEMPLATE.read_text().replace("MemorySize", "MemorySiz"))
    bad = validate(misspelt)
    assert bad.returncode != 0
    assert "MemorySiz" in bad.stdout + bad.stderr


def test_points_at_the_example() -> None:
    """Folder, module and function named in the template exist, next to the requirements that `sam build` installs."""
    text = TEMPLATE.read_text()
    code, handler = (re.search(rf"{name}: (\S+)", text) for name in ("CodeUri", "Handler"))
    assert code is not None
    assert handler is not None
    folder, (module, function) = ROOT / code[1], handler[1].split(".")
    assert f"@zespan_lambda\ndef {function}(" in (folder / f"{module}.py").read_text()
    assert "zespan-serverless" in (folder / "requirements.txt").read_text().splitlines()


def test_keys_are_no_part_of_it() -> None:
    """Every *_API_KEY is a parameter that CloudFormation does not show."""
    text = TEMPLATE.read_text()
    parameters = re.findall(r"_API_KEY: (.*)", text)
    assert len(parameters) == 2
    for value in parameters:
        assert value.startswith("!Ref ")
        assert re.search(rf"{value.removeprefix('!Ref ')}:\n    Type: String\n    NoEcho: true\n", text)
