"""Which part of the developers' tools may import which, and how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zespan_serverless_dev

PACKAGE = Path(zespan_serverless_dev.__file__).parent
FILES = sorted(file for file in PACKAGE.rglob("*.py") if "hooks" not in file.parts)
SOURCES = sorted(
    file for file in PACKAGE.rglob("*") if file.suffix in (".py", ".js", ".css") and "vendor" not in file.parts
)
LINES_MAX = 400


def layers() -> list[set[str]]:
    """Return the parts of each layer in the table of dev/README.md, from the top to the bottom."""
    page = (PACKAGE.parent / "README.md").read_text()
    table = page.partition("| Layer | Parts |")[2].partition("\n\n")[0]
    rows = [line.split("|")[2] for line in table.splitlines()[2:]]
    return [set(re.findall(r"`(\w+)`", parts)) for row in rows for parts in row.split("→")]


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(file: Path) -> Iterator[str]:
    """Yield the parts that a file imports from, also in functions and for types."""
    package = [PACKAGE.name, *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            inside = name.split(".")
            if (
                inside[0] == PACKAGE.name
                and (PACKAGE / inside[1]).with_suffix(".py").exists() | (PACKAGE / inside[1]).is_dir()
            ):
                yield inside[1]


def test_imports_are_found() -> None:
    """Relative ones, absolute ones, and those in functions."""
    assert "ingest" in set(imported_parts(PACKAGE / "store" / "telemetry.py"))
    assert "probe" in set(imported_parts(PACKAGE / "emulator" / "lambda_rie.py"))
    assert "server" in set(imported_parts(PACKAGE / "commands" / "dev.py"))


def test_the_table_has_every_part() -> None:
    """A new part says in dev/README.md where it belongs, and a part that is gone leaves it."""
    assert set().union(*layers()) == {part_of(file) for file in FILES} - {"__init__"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(file: Path) -> None:
    """A part imports only from lower layers."""
    rank = {part: number for number, parts in enumerate(layers()) for part in parts}
    own = part_of(file)
    others = set(imported_parts(file)) - {own}
    assert [part for part in others if own != "__init__" and rank[part] <= rank[own]] == []


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_file_is_too_long(file: Path) -> None:
    """A file is one idea."""
    assert len(file.read_text().splitlines()) <= LINES_MAX
