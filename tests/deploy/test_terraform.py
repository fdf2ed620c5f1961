"""The Terraform module, with the functions of its page: Terraform and the provider find nothing wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.support import RECIPES, ROOT

pytestmark = [
    pytest.mark.host(seconds=5),
    pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform on the PATH"),
]
PAGE = (ROOT / "docs/recipes/terraform.md").read_text()
EXAMPLES = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
PLUGINS = os.environ.get("ZESPAN_TERRAFORM_PLUGINS")
REST = """
resource "aws_iam_role" "chat" {
  assume_role_policy = "{}"
}

resource "aws_cloudwatch_log_group" "chat" {
  name = "/aws/lambda/chat"
}
"""


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder, without what this machine configures for it."""
    env = {name: value for name, value in os.environ.items() if name != "TF_CLI_CONFIG_FILE"}
    return subprocess.run(["terraform", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("example", EXAMPLES, ids=["decorator", "layer"])
def test_the_examples_are_valid(example: str, tmp_path: Path) -> None:
    """Each is formatted, and passes `terraform validate` with the provider, if that can be had.

    ZESPAN_TERRAFORM_PLUGINS is a folder with the provider, for machines that cannot download it.
    """
    shutil.copytree(RECIPES / "terraform", tmp_path / "zespan", ignore=shutil.ignore_patterns(".terraform*"))
    (tmp_path / "chat").mkdir()
    (tmp_path / "main.tf").write_text(example.replace("./deploy/aws_lambda/terraform", "./zespan") + REST)
    (tmp_path / "chat.zip").touch()
    (tmp_path / "zespan-serverless-layer.zip").touch()
    formatted = terraform(tmp_path, "fmt", "-check", "-recursive", "-diff")
    assert formatted.returncode == 0, formatted.stdout
    ready = terraform(tmp_path, "init", "-input=false", *([f"-plugin-dir={PLUGINS}"] if PLUGINS else []))
    if ready.returncode:
        pytest.skip("the provider cannot be downloaded: set ZESPAN_TERRAFORM_PLUGINS to a folder that has it")
    valid = terraform(tmp_path, "validate", "-no-color")
    assert valid.returncode == 0, valid.stdout + valid.stderr
