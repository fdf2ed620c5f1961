"""Whatever a project looks like, the command ends with a diff that does what `--write` does, and breaks no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read

from tests.dev.doctor.pages import FOLDER, files_of, write
from tests.dev.init.command import contents, init
from tests.dev.init.test_projects import patched

PAGES = sorted([*FOLDER.glob("*.md"), *(Path(__file__).parents[1] / "doctor/projects").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_projects_with_faults(page: Path, tmp_path: Path) -> None:
    """Projects that the doctor finds faults in are read as before, and a second run changes nothing."""
    root = write(files_of(page.read_text().partition("\n## Right\n")[0]), tmp_path / "project")
    skipped = read(root).skipped
    diff = init(root).out
    wanted = patched(root, diff, tmp_path / "patched") if "***" not in diff else None
    init(root, "--write")
    assert wanted is None or contents(root) == wanted
    assert read(root).skipped == skipped
    assert init(root).out == ""
