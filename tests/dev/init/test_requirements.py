"""The package in the lists of packages, in the syntax of each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from zespan_serverless_dev.init import requirements
from zespan_serverless_dev.init.draft import Draft
from zespan_serverless_dev.init.text import NotEditable

from zespan_serverless import __version__

LINE = "zespan-serverless>=0.1.0"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{LINE}\n"),
        ("a\n\n# end\n", f"a\n\n# end\n{LINE}\n"),
        ("a\n\n\n", f"a\n{LINE}\n\n\n"),
        ("a", f"a\n{LINE}\n"),
        ("# zespan-serverless\n", f"# zespan-serverless\n{LINE}\n"),
        ("zespan_serverless==0.1.0\n", "zespan_serverless==0.1.0\n"),
        ("./dist/zespan_serverless-0.1.0-py3-none-any.whl\n", "./dist/zespan_serverless-0.1.0-py3-none-any.whl\n"),
    ],
)
def test_the_package_is_added_to_requirements_txt(before: str, after: str) -> None:
    """One line at the end, unless the package is there."""
    assert requirements.in_requirements(before, LINE) == after


@pytest.mark.parametrize(
    ("array", "after"),
    [
        ("[]", f'["{LINE}"]'),
        ('["a"] # b', f'["a", "{LINE}"] # b'),
        ('[\n  "a",\n]', f'[\n  "a",\n  "{LINE}",\n]'),
        ('[\n  "a", # b\n  "c[d]>1" # e\n]', f'[\n  "a", # b\n  "c[d]>1",  # e\n  "{LINE}",\n]'),
        ("[\n]", f'[\n    "{LINE}",\n]'),
    ],
)
def test_the_package_is_added_to_pyproject_toml(array: str, after: str) -> None:
    """An item is added, in the layout of the others."""
    text = f'[project]\nname = "a"\ndependencies = {array}\n[tool.x]\ndependencies = ["b"]\n'
    edited = requirements.in_pyproject(text, LINE)
    assert edited == text.replace(array, after, 1)
    assert tomllib.loads(edited)["project"]["dependencies"][-1] == LINE
    assert requirements.in_pyproject(edited, LINE) == edited


@pytest.mark.parametrize("text", ["a\nb --hash=sha256:0\n"])
def test_hashes_are_left_to_their_tool(text: str) -> None:
    """A line without a hash would make pip refuse all of them."""
    with pytest.raises(NotEditable, match="it has hashes"):
        requirements.in_requirements(text, LINE)


@pytest.mark.parametrize("text", ["", '[project]\nname = "a"\n', "[tool.poetry.dependencies]\n", "["])
def test_a_pyproject_without_dependencies_is_left(text: str) -> None:
    """Another tool's syntax is not guessed."""
    with pytest.raises(NotEditable):
        requirements.in_pyproject(text, LINE)


@pytest.mark.parametrize(
    ("lock", "command"),
    [("uv.lock", "uv add"), ("poetry.lock", "poetry add"), ("Pipfile", "pipenv install"), ("pdm.lock", "pdm add")],
)
def test_a_lock_is_left_to_its_tool(lock: str, command: str, tmp_path: Path) -> None:
    """The command is said, in quotes where a shell needs them, and no file is touched."""
    (tmp_path / lock).write_text("")
    draft = Draft(tmp_path, LINE)
    assert requirements.add(draft, tmp_path)
    assert draft.changes() == []
    assert draft.notes[0].endswith(f"{lock}: {command} '{LINE}'")


def test_a_package_from_a_checkout_is_named_by_its_wheel() -> None:
    """If the package was not installed from an index, its bare name, which may belong to another project there, is not
    written."""
    assert requirements.requirement() == f"./dist/zespan_serverless-{__version__}-py3-none-any.whl"
