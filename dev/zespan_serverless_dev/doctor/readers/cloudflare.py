"""Reads Cloudflare's Python Workers: wrangler.toml, .json or .jsonc.

https://developers.cloudflare.com/workers/wrangler/configuration/
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from ..model import Function, Place, Project
from . import _files, _values
from ._documents import Table, Unreadable, parse_json, row, table


def read(root: Path, project: Project) -> None:
    """Add each Worker whose code is Python."""

    def add(file: Path, content: str) -> bool:
        document = _toml(content) if file.suffix == ".toml" else table(parse_json(_files.without_comments(content)))
        main = document.get("main")
        if not (isinstance(main, str) and main.endswith(".py")) and "python_workers" not in row(
            document.get("compatibility_flags")
        ):
            return False
        name = document.get("name")
        code = (file.parent / main).parent if isinstance(main, str) and "\0" not in main else file.parent
        function = Function(name if isinstance(name, str) else file.parent.name, "cloudflare", Place(file), code=code)
        function.environment_is_partial = True  # secrets are at Cloudflare
        for named in table(document.get("env")).values():  # environments, such as staging
            function.environment |= _values.variables(file, table(named).get("vars"))
        function.environment |= _values.variables(file, document.get("vars"))
        project.functions.append(function)
        return True

    _files.each(project, root, ("wrangler.toml", "wrangler.json", "wrangler.jsonc"), add)


def _toml(content: str) -> Table:
    """Parse a TOML document with the lines of its keys, as far as each begins one. Raises Unreadable."""
    try:
        return _located(tomllib.loads(content), content.splitlines())
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise Unreadable("it is no TOML", int(line[1]) if line else None) from None


def _located(values: dict[str, Any], lines: list[str]) -> Table:
    found = Table({key: _located(each, lines) if isinstance(each, dict) else each for key, each in values.items()})
    for key in values:
        pattern = re.compile(rf"\s*(?:\[.*)?[\"']?{re.escape(key)}[\"']?\s*[=\]]")
        numbers = (number for number, line in enumerate(lines, 1) if pattern.match(line))
        if (number := next(numbers, None)) is not None:
            found.lines[key] = number
    return found
