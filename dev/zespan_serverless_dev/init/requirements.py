"""Edits the list of a project's packages: requirements.txt, and the dependencies of pyproject.toml."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from zespan_serverless import __version__

from .draft import Draft
from .text import NotEditable, indent_of, inserted, lines_of, replaced

_OURS = re.compile(r"zespan[-_.]+serverless", re.IGNORECASE)
_LOCKS = {
    "uv.lock": "uv add {}",
    "poetry.lock": "poetry add {}",
    "pdm.lock": "pdm add {}",
    "Pipfile": "pipenv install {}",
}
WHEEL = f"./dist/zespan_serverless-{__version__}-py3-none-any.whl"


def requirement() -> str:
    """Return the name for a project's list: the package, if installed from an index, or a wheel of this version."""
    try:
        origin = distribution("zespan-serverless").read_text("direct_url.json")
    except PackageNotFoundError:  # from a folder on the path
        origin = "{}"
    if origin is None:
        return f"zespan-serverless>={__version__}"
    url = json.loads(origin).get("url", "")
    return WHEEL if not url or url.startswith("file:") else f"zespan-serverless @ {url}"


def add(draft: Draft, folder: Path, *, make: bool = False, is_alone: bool = False) -> bool:
    """Name the package in the list that is in `folder` or above it, in the project; tell whether a list names it.

    `make`: write a requirements.txt into `folder`, if there is no list. `is_alone`: lists above it do not count,
    because the folder is built without them.
    """
    for place in [folder] if is_alone else _up(folder, draft.root):
        found = _list_in(draft, place)
        if found is not None:
            return found
    if make:
        draft.set(folder / "requirements.txt", f"{draft.requirement}\n")
        _note_wheel(draft)
        return True
    return False


def has_list(folder: Path, root: Path) -> bool:
    """Whether a list of packages is in `folder` or above it, in the project."""
    names = ("requirements.txt", "pyproject.toml", "Pipfile")
    return any((place / name).is_file() for place in _up(folder, root) for name in names)


def _list_in(draft: Draft, place: Path) -> bool | None:
    """Add the line to the list in one folder; None if the folder has none."""
    for name, command in _LOCKS.items():
        if (place / name).is_file():
            return _left_to_tool(draft, place, name, command)
    file = place / "requirements.txt"
    if file.is_file():
        before = draft.edits
        draft.edit(file, lambda text: in_requirements(text, draft.requirement))
        if draft.edits > before:
            _note_wheel(draft)
        return True
    project = place / "pyproject.toml"
    if project.is_file():
        typed = f"Before you deploy, add {draft.requirement} to its dependencies"
        if is_local(draft.requirement) and not _OURS.search(_text(project)):
            draft.note(f"{draft.shown(project)}: {typed}; each tool writes a path in its own way")
        else:
            draft.edit(project, lambda text: in_pyproject(text, draft.requirement), typed)
        return True
    return None


def _left_to_tool(draft: Draft, place: Path, lock: str, command: str) -> bool:
    list_ = place / ("Pipfile" if lock == "Pipfile" else "pyproject.toml")
    if not _OURS.search(_text(list_)):
        draft.note(f"Before you deploy, for {draft.shown(place / lock)}: {command.format(_typed(draft))}")
        _note_wheel(draft)
    return True


def in_requirements(text: str, line: str) -> str:
    """Add a line to a requirements.txt, in its place if the names are sorted, otherwise at the end."""
    lines = lines_of(text)
    if any(_OURS.search(each.partition("#")[0]) for each in lines):
        return text
    if any("--hash=" in each for each in lines):
        raise NotEditable(f"it has hashes. Add {line} to the file that it is made of")
    end = next((number for number in range(len(lines), 0, -1) if lines[number - 1].strip()), 0)
    return inserted(text, end, [line]) if end else f"{line}\n"


def in_pyproject(text: str, line: str) -> str:
    """Return a pyproject.toml with a dependency more in `project.dependencies`. Raises NotEditable."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotEditable(str(error)) from None
    listed = before.get("project", {}).get("dependencies")
    if _OURS.search(text):
        return text
    if not isinstance(listed, list):
        raise NotEditable("it has no project.dependencies")
    lines = lines_of(text)
    start = next((number for number, each in enumerate(lines, 1) if re.match(r"dependencies\s*=\s*\[", each)), 0)
    edited = _in_array(text, start, json.dumps(line), is_empty=not listed)
    before["project"]["dependencies"] = [*listed, line]
    try:
        if tomllib.loads(edited) != before:
            raise NotEditable("its layout is unusual")
    except tomllib.TOMLDecodeError:
        raise NotEditable("its layout is unusual") from None
    return edited


def _in_array(text: str, start: int, item: str, *, is_empty: bool) -> str:
    """Add an item at the end of a TOML array that begins in a line."""
    lines = lines_of(text)
    if not start:
        raise NotEditable("its layout is unusual")
    line = lines[start - 1]
    if found := re.fullmatch(r"(.*?),?\s*\](\s*(?:#.*)?)", line):
        return replaced(text, start, f"{found[1]}{'' if is_empty else ', '}{item}]{found[2]}")
    for number in range(start + 1, len(lines) + 1):
        if lines[number - 1].strip().startswith("]"):
            last = lines[number - 2]
            bare, hash_, comment = last.partition(" #")
            if number - 1 > start and not bare.rstrip().endswith(",") and bare.strip():
                text = replaced(text, number - 1, f"{bare.rstrip()},{hash_ and '  #'}{comment}")
            indent = indent_of(last) if number - 1 > start else "    "
            return inserted(text, number - 1, [f"{indent}{item},"])
    raise NotEditable("its layout is unusual")


def _typed(draft: Draft) -> str:
    return f"'{draft.requirement}'" if " " in draft.requirement or ">" in draft.requirement else draft.requirement


def is_local(requirement: str) -> bool:
    """Whether a requirement is a file on this machine."""
    return requirement.startswith((".", "/"))


def _note_wheel(draft: Draft) -> None:
    """Say how to build a wheel that the list names and that is not there."""
    if draft.requirement == WHEEL and not (draft.root / WHEEL).exists():
        command = "pip wheel --no-deps --wheel-dir PROJECT/dist ."
        draft.note(f"Before you deploy, build {WHEEL}: in a checkout of zespan-serverless, {command}")


def _up(folder: Path, root: Path) -> list[Path]:
    """Return a folder and those above it, up to the project's."""
    folder, root = folder.resolve(), root.resolve()
    found = [folder]
    while folder != root and folder.is_relative_to(root):
        folder = folder.parent
        found.append(folder)
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return ""
