"""No project, however broken, makes the doctor fail."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.reports import REPORTS
from zespan_serverless_dev.doctor.run import diagnose, selected

from tests.dev.doctor.pages import FOLDER, files_of, write

PAGES = sorted([*FOLDER.glob("*.md"), *(Path(__file__).parent / "projects").rglob("*.md")])
PROJECTS = [files for path in PAGES if (files := files_of(path.read_text()))]
LINES = sorted({line for files in PROJECTS for text in files.values() for line in text.splitlines()})


@st.composite
def broken_projects(draw: st.DrawFn) -> dict[str, str]:
    """Return the files of an example, with lines that are gone, from elsewhere, cut, or moved in and out."""
    files = dict(draw(st.sampled_from(PROJECTS)))
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(files)))
        lines = files[name].splitlines()
        at = draw(st.integers(0, len(lines)))
        line = lines[at] if at < len(lines) else ""
        cut = draw(st.integers(0, len(line)))
        others = [
            [],
            [draw(st.sampled_from(LINES))],
            [line[:cut]],
            [line[cut:]],
            [f"  {line}"],
            [line.strip()],
            [line, line],
        ]
        lines[at : at + 1] = draw(st.sampled_from(others))
        files[name] = "\n".join(lines)
    return files


@hypothesis.given(broken_projects())
def test_a_broken_project_gets_a_report(files: dict[str, str]) -> None:
    """Every reader, rule and format copes with what is missing, wrong, or somewhere else."""
    with tempfile.TemporaryDirectory() as folder:
        result = diagnose(read(write(files, Path(folder))), selected([], []))
        for report in REPORTS.values():
            assert isinstance(report(result), str)
