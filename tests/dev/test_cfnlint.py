"""The doctor's rules in the real cfn-lint."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.dev.doctor.pages import page, write

ROOT = Path(__file__).parents[2]
CFN_LINT = ROOT / ".venv-sam/bin/cfn-lint"

pytestmark = [
    pytest.mark.host(seconds=8),
    pytest.mark.skipif(not CFN_LINT.exists(), reason="no cfn-lint: `make test` installs it in .venv-sam"),
]


def lint(*templates: Path) -> list[tuple[str, str, int, str]]:
    """Return the id, level, line and message of each match of the package's rules."""
    ran = subprocess.run(
        [CFN_LINT, *templates, "-a", "zespan_serverless_dev.cfnlint", "-c", "I", "--format", "json"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'dev'}", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.stdout, ran.stderr
    matches = [(each["Rule"]["Id"], each) for each in json.loads(ran.stdout)]
    assert not [each for id, each in matches if id.startswith("E0")]  # a template, or a rule, that cannot be processed
    return [
        (id, each["Level"], each["Location"]["Start"]["LineNumber"], each["Message"])
        for id, each in matches
        if id[1:].startswith("ZS")
    ]


def test_the_same_faults_are_found(tmp_path: Path) -> None:
    """A template's faults have the doctor's lines and words, and cfn-lint's levels; what is in code is left out."""
    template = write(page("ZS210").wrong, tmp_path) / "template.yaml"
    template.write_text(template.read_text().replace("ZESPAN_API_KEY_SECRET:", "ZESPAN_APIKEY_SECRET:"))
    found = lint(template)
    lines = template.read_text().splitlines()
    assert {(id, level) for id, level, _, _ in found} == {
        ("WZS002", "Warning"),
        ("WZS210", "Warning"),
        ("IZS212", "Informational"),
    }
    (visibility,) = [each for each in found if each[0] == "WZS210"]
    assert "VisibilityTimeout" in lines[visibility[2] - 1]
    assert visibility[3] == "the queue of Chat hides a message for 60 s; six timeouts are 180 s. Set it to 180."


def test_the_projects_own_templates_are_clean() -> None:
    """Nothing above the level of information is found in what is deployed from here."""
    found = lint(ROOT / "sam-template.yaml", ROOT / "deploy/aws_lambda/forwarder/template.yaml")
    assert [each for each in found if each[1] != "Informational"] == []
