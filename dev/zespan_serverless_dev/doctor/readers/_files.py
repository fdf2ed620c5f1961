"""Reads the files of a project that a reader asks for; what cannot be read is noted, and the others go on."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..model import Project
from ._documents import Unreadable, parse_json, parse_yaml
from .files import text_of, walk


def each(project: Project, root: Path, patterns: tuple[str, ...], add: Callable[[Path, str], bool]) -> None:
    """Have `add` read every file below `root` whose name fits a pattern; it returns whether it is of its kind."""
    for file in walk(root):
        if not any(fnmatch(file.name, pattern) for pattern in patterns):
            continue
        try:
            if add(file, text(file)):
                project.read.append(file)
        except Unreadable as error:
            project.skipped.append((file, str(error)))
        except RecursionError:
            project.skipped.append((file, "it is nested too deeply"))


def text(file: Path) -> str:
    """A file's text. Raises Unreadable."""
    try:
        return text_of(file)
    except UnicodeDecodeError:
        raise Unreadable("it is no UTF-8") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None


def parsed(file: Path, content: str) -> Any:
    """The only, or first, document of YAML or JSON. Raises Unreadable."""
    if file.suffix == ".json" or (file.suffix == ".template" and content.lstrip().startswith("{")):
        return parse_json(content)
    found = parse_yaml(content)
    return found[0] if found else None


def without_comments(content: str) -> str:
    """JSON without comments (// and /* */) and without commas before a bracket; each line stays where it was."""
    kept: list[str] = []
    at = 0
    while at < len(content):
        if content[at] == '"':
            end = _after_string(content, at)
            kept.append(content[at:end])
        elif content.startswith("//", at):
            end = _before(content, "\n", at)
        elif content.startswith("/*", at):
            end = _before(content, "*/", at + 2) + 2
            kept.append("\n" * content.count("\n", at, end))
        else:
            end = at + 1
            is_superfluous = content[at] == "," and content[end : end + 1000].lstrip()[:1] in ("}", "]")
            kept.append("" if is_superfluous else content[at])
        at = end
    return "".join(kept)


def _after_string(content: str, at: int) -> int:
    end = at + 1
    while end < len(content) and content[end] != '"':
        end += 2 if content[end] == "\\" else 1
    return end + 1


def _before(content: str, mark: str, at: int) -> int:
    found = content.find(mark, at)
    return len(content) if found < 0 else found
