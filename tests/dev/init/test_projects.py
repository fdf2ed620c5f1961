"""Projects as the world writes them: the diff of each, and that it does what it promises."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

from tests.dev.doctor.pages import files_of, write
from tests.dev.init.command import contents, init

PAGES = sorted((Path(__file__).parent / "projects").glob("*.md"))
EXAMPLES = Path(__file__).parents[3] / "examples"
STRIPPED = [
    *("aws_lambda/chat", "aws_lambda/digest", "aws_lambda/fastapi_stream", "aws_lambda/sqs_worker", "fastapi", "flask"),
    *("alibaba", "azure_functions/chat", "azure_functions/stream", "digitalocean", "google_cloud", "script", "vercel"),
]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def project(page: Path, folder: Path) -> tuple[Path, str, str]:
    """Return the project that a page shows, its diff, and what is left to the user."""
    before, _, rest = page.read_text().partition("\n## Diff\n")
    diff, _, left = rest.partition("\n## Left\n")
    found = re.fullmatch(r"\n```diff\n(.*)```\n", diff, re.DOTALL)
    assert found is not None
    return write(files_of(before), folder), found[1], left.strip()


def stripped(name: str, folder: Path) -> Path:
    """Return an example of this repository without what the package needs."""
    shutil.copytree(EXAMPLES / name, folder)
    for file in folder.rglob("*.py"):
        lines = file.read_text().splitlines(keepends=True)
        text = "".join(
            line for line in lines if not re.search(r"^@(zespan|run)|ZespanMiddleware|= zespan_vercel", line)
        )
        text = re.sub(r"zespan_lambda\((Mangum\(.*\))\)", r"\1", text)
        text = re.sub(r"from zespan_serverless import .*\n", "from contextlib import nullcontext as span\n", text)
        file.write_text(text)
    for file in folder.rglob("requirements.txt"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if "zespan" not in line))
    return folder


def errors(root: Path) -> list[str]:
    """Return what the doctor calls an error in a project."""
    found = diagnose(read(root), selected([], [])).findings
    return [f"{one.rule.id} {one.message}" for one in found if one.rule.level == "error"]


def patched(root: Path, diff: str, folder: Path) -> dict[str, bytes]:
    """Return the files of a project after `patch -p1`, which is in another folder."""
    shutil.copytree(root, folder)
    subprocess.run(["patch", "-s", "-p1"], cwd=folder, input=diff.encode(), check=True, timeout=60)
    return contents(folder)


@every_page
def test_the_diff_on_the_page_is_the_real_one(page: Path, tmp_path: Path) -> None:
    """The page's own, to the letter, and nothing is written."""
    root, diff, left = project(page, tmp_path)
    before = contents(root)
    ran = init(root)
    assert (ran.code, ran.out) == (0, diff)
    assert ran.err.partition("\n")[2].strip() == left
    assert contents(root) == before


@every_page
def test_write_makes_what_the_diff_says(page: Path, tmp_path: Path) -> None:
    """The files are as after `patch`; the doctor finds no error; a second run has nothing to do."""
    root, diff, _ = project(page, tmp_path / "project")
    wanted = patched(root, diff, tmp_path / "patched")
    assert init(root, "--write").out == diff
    assert contents(root) == wanted
    again = init(root)
    assert (again.code, again.out) == (0, "")
    if page.stem not in ("left", "knative"):  # which leave something to the user
        assert errors(root) == []
        assert again.err == "zespan-serverless init: nothing to do\n"


@pytest.mark.parametrize("name", STRIPPED)
def test_examples_get_back_what_they_need(name: str, tmp_path: Path) -> None:
    """Each example without its decorators gets as many as it had, by `--write` and by `patch` alike."""
    root = stripped(name, tmp_path / "project")
    wanted = patched(root, init(root).out, tmp_path / "patched")
    init(root, "--write")
    assert contents(root) == wanted
    assert errors(root) == []
    assert _traces(root) == _traces(EXAMPLES / name)
    assert init(root).out == ""


def _traces(folder: Path) -> list[str]:
    """Return the decorators and middlewares of the package in a folder."""
    pattern = r"^@zespan_\w+|^@run\b|add_middleware\(ZespanMiddleware|ZespanMiddleware\(app|= zespan_\w+"
    text = "\n".join(file.read_text() for file in sorted(folder.rglob("*.py")))
    found = re.findall(pattern, text, re.MULTILINE)
    return sorted("@run" if each == "@zespan_job" else each for each in found)
