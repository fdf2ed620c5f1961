"""Broken projects: every planted fault is found where it is, and nothing else. Right ones: no false alarm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.model import Place
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

from tests.dev.doctor.pages import files_of, write

ROOT = Path(__file__).parents[3]
PROJECTS = sorted((Path(__file__).parent / "projects").rglob("*.md"))
RIGHT = [*sorted((ROOT / "examples").iterdir()), ROOT / "deploy", ROOT / "sam-template.yaml"]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.stem)
def test_every_planted_fault_is_found_and_nothing_else(project: Path, tmp_path: Path) -> None:
    """Of the level warning or above, by the rules on the environment and on code, or by those on infrastructure."""
    text = project.read_text()
    root = write(files_of(text), tmp_path)
    about = ["ZS2", "ZS3"] if project.parent.name == "infrastructure" else ["ZS0", "ZS1"]
    result = diagnose(read(root), selected(about, []))
    found = sorted(f"{one.rule.id} {_shown(one.place, root)}" for one in result.findings if one.rule.level != "info")
    assert found == sorted(re.findall(r"^- (ZS\d+ .*)$", text, re.MULTILINE))
    assert result.project.skipped == []


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.name)
def test_examples_of_this_repository_have_no_fault(path: Path) -> None:
    """No rule reports an error or a warning of what the documentation shows."""
    result = diagnose(read(path), selected([], []))
    assert [one for one in result.findings if one.rule.level != "info"] == []
    assert result.project.skipped == []


def _shown(place: Place | None, root: Path) -> str:
    assert place is not None
    return f"{place.file.relative_to(root).as_posix()}:{place.line}"
