"""Reads the files that a reader requests; unreadable ones are recorded and skipped."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..model import Project
from ._documents import Unreadable, parse_json, parse_yaml
from .files import text_of, walk

_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)


def each(project: Project, root: Path, patterns: tuple[str, ...], add: Callable[[Path, str], bool]) -> None:
    """Call `add` with every file below `root` whose name matches a pattern; it returns whether it recognizes the file.

    Test files are skipped, because their mistakes are intentional.
    """
    for file in walk(root):
        is_wanted = any(fnmatch(file.name, pattern) for pattern in patterns)
        if not is_wanted or "tests" in file.relative_to(root).parts[:-1]:
            continue
        try:
            if add(file, text(file)):
                project.read += [file] if file not in project.read else []
        except Unreadable as error:
            skip(project, file, str(error))
        except RecursionError:
            skip(project, file, "it is nested too deeply")


def skip(project: Project, file: Path, reason: str) -> None:
    """Record once why a file is skipped, because several readers may request it."""
    if file not in (each for each, _ in project.skipped):
        project.skipped.append((file, reason))


def text(file: Path) -> str:
    """Return a file's text. Raises Unreadable."""
    try:
        return text_of(file)
    except UnicodeDecodeError:
        raise Unreadable("it is no UTF-8") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None


def parsed(file: Path, content: str) -> Any:
    """Return the only, or first, document of YAML or JSON. Raises Unreadable."""
    if file.suffix == ".json" or (file.suffix == ".template" and content.lstrip().startswith("{")):
        return parse_json(content)
    found = parse_yaml(content)
    return found[0] if found else None


def without_comments(content: str) -> str:
    """JSON without comments (// and /* */) and without commas before a bracket; each line stays where it was."""
    bare = _COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else "\n" * match[0].count("\n"), content)
    return _COMMA.sub(lambda match: match[0] if match[0][0] == '"' else "", bare)
