"""The checks before a release, and the text that goes with it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tools import release
from zespan_serverless import __version__

TAG = f"v{__version__}"
READY = f"""# Changelog

## Unreleased

## {__version__} - 2027-01-31

### Added

- A thing.

## 0.0.1 - 2026-12-31

- Old.
"""


def test_a_repository_of_that_version_can_be_released() -> None:
    """Versions, bills of materials and the changelog agree with the tag."""
    assert release.problems(TAG, READY) == []


@pytest.mark.parametrize(
    ("tag", "changelog", "problem"),
    [
        ("v99.0.0", READY, f"the tag v99.0.0 is not {TAG}"),
        (TAG, READY.replace(" - 2027-01-31", ""), f"has no heading `## {__version__} - YYYY-MM-DD`"),
        (TAG, READY.replace("## Unreleased", "## Unreleased\n\n- A late change."), "has changes under Unreleased"),
    ],
    ids=["tag", "date", "unreleased"],
)
def test_what_does_not_agree_is_named(tag: str, changelog: str, problem: str) -> None:
    """With what to do about it."""
    (found,) = release.problems(tag, changelog)
    assert problem in found


def test_the_notes_are_the_section_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its heading, and nothing of the versions around it."""
    (tmp_path / "CHANGELOG.md").write_text(READY)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    assert release.main(["notes", TAG]) == 0
    assert capsys.readouterr().out == "### Added\n\n- A thing.\n"
    assert release.section(READY, "2.0.0") == ""


def test_the_changelog_can_become_that_of_a_release() -> None:
    """Its newest section is Unreleased, with the headings of Keep a Changelog, each once, or that of this version."""
    changelog = (release.ROOT / "CHANGELOG.md").read_text()
    newest = release.section(changelog, "Unreleased") or release.section(changelog, __version__)
    headings = re.findall(r"^### (.*)$", newest, re.MULTILINE)
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    assert headings == [name for name in order if name in headings] != []


def test_hooks_have_the_versions_of_the_environment() -> None:
    """What a commit is checked with is what `make check` runs."""
    hooks = (release.ROOT / ".pre-commit-config.yaml").read_text()
    pinned = set(re.findall(r"\[([\w-]+==[\d.]+)\]", hooks))
    groups = tomllib.loads((release.ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert len(pinned) == 3
    assert pinned <= {item for group in ("dev", "release") for item in groups[group] if isinstance(item, str)}


def test_a_wrong_call_shows_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """And fails."""
    assert release.main(["check"]) == 2
    assert "python -m tools.release check v0.1.0" in capsys.readouterr().out


@pytest.mark.parametrize("workflow", ["ci", "release"])
def test_workflows_try_every_python(workflow: str) -> None:
    """A Python that the metadata names is one that the wheels are tested under."""
    project = tomllib.loads((release.ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    text = (release.ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
    tried = re.findall(r"^        python: (\[.*\])$", text, re.MULTILINE)
    assert named in [json.loads(versions) for versions in tried]
