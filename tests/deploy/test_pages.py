"""The pages of docs/recipes show what the projects of deploy/aws_lambda have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.support import RECIPES, ROOT

PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_are_parts_of_the_projects_files(page: Path) -> None:
    """Each block of code is in a file that the tests of the tool run. Terraform's are validated themselves."""
    folder = RECIPES / page.stem
    kinds = {".py", ".yaml", ".yml", ".json"}
    files = [file.read_text() for file in folder.rglob("*") if file.is_file() and file.suffix in kinds]
    blocks = re.findall(r"```(python|yaml|json)\n(.*?)```", page.read_text(), re.DOTALL)
    assert folder.is_dir()
    assert [text for _, text in blocks if not any(text in file for file in files)] == []
    assert blocks or page.stem == "terraform"
    assert f"tests/deploy/test_{page.stem}.py" in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_requirements_name_the_wheel(page: Path) -> None:
    """Every project that pip installs for has the package from the wheel, as the page builds it."""
    for file in (RECIPES / page.stem).rglob("requirements.txt"):
        if file.parent.name != "cdk":
            assert "./dist/zespan_serverless-" in file.read_text()
            assert "pip wheel --no-deps --wheel-dir dist" in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_key_of_the_model_is_mentioned(page: Path) -> None:
    """OpenAI's client raises without one, so the page of a project that makes a client says where it is set."""
    if any("OpenAI(" in file.read_text() for file in (RECIPES / page.stem).rglob("*.py")):
        assert "OPENAI_API_KEY" in page.read_text().partition("## Deploy")[2]
