"""Which part may know which, read from the syntax trees."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import zespan_serverless

PACKAGE = Path(zespan_serverless.__file__).parent

# Every room of the package, from the ground to the front door: one may import those in a line above its own, for types,
# too. Rooms in one line do not know each other.
LAYERS = [
    {"_version", "_base"},
    {"errors", "_trace"},
    {"_platforms"},
    {"settings"},
    {"_record", "_http"},
    {"exporters"},
    {"_delivery"},
    {"_process"},
    {"sdks"},
    {"providers"},
    {"_observe"},
    {"aws_lambda", "azure_functions", "asgi", "jobs", "logs", "wsgi"},
    {"google_cloud", "vercel"},  # jobs run on Cloud Run, too; handler classes, WSGI and ASGI on Vercel
    {"powertools", "testing", "types"},
    {"__init__"},
    {"_bytecode", "_layer"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# Who may speak to the network.
CLIENTS = {"http.client", "urllib.request", "socket", "ssl", "asyncio"}
SPEAKS = {
    "_http/client.py": {"socket"},
    "_http/transport.py": {"urllib.request", "ssl"},
    "_process/listener.py": {"socket"},  # a pair of its own
    "vercel.py": {"socket"},
    "aws_lambda/__init__.py": {"asyncio"},  # runs async handlers
    "_base/aio.py": {"asyncio"},  # leaves the event loop free
    "_delivery/aio.py": {"asyncio"},
    "testing/_backend.py": {"socket", "ssl"},
}

# What costs too much at a cold start, or does harm: `warnings` under -W error, `random` after a seed or a restore.
BANNED = {"warnings", "random", "dataclasses", "uuid", "requests", "httpx", "urllib3"}
BANNED_ELSEWHERE = BANNED - {"dataclasses", "uuid"}  # in testing/

# In functions, of people who have openai, Powertools, or a key in AWS; and Lambda's runtime client, in its process.
THIRD_PARTY_IN = {"powertools.py", "_platforms/secrets.py", "aws_lambda/auto.py", "aws_lambda/_snapstart.py"}


class Import(NamedTuple):
    """One imported module; `when`: `module` (at import), `function` (later), `types` (never)."""

    file: str
    module: str
    when: str

    @property
    def part(self) -> str:
        return part_of(self.file)

    @property
    def target(self) -> str:
        """The part of our package that is imported, or an empty string."""
        inside = self.module.split(".")
        return "" if inside[0] != PACKAGE.name else inside[1] if len(inside) > 1 else "__init__"


def part_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def imports_in(file: Path) -> Iterator[Import]:
    name = file.relative_to(PACKAGE).as_posix()
    package = [PACKAGE.name, *name.split("/")[:-1]]

    def visit(node: ast.AST, when: str) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, when)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                # `from . import _log` imports a module, `from ._log import logger` a name in one.
                inner = PACKAGE.parent.joinpath(*base, alias.name)
                is_module = bool(node.level) and (inner.with_suffix(".py").exists() or inner.is_dir())
                yield Import(name, ".".join([*base, alias.name] if is_module else base), when)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                yield from visit(statement, "types")
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for child in ast.iter_child_nodes(node):
                yield from visit(child, "function" if inside else when)

    yield from visit(ast.parse(file.read_text()), "module")


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for file in FILES for found in imports_in(file)]
AT_RUN_TIME = [found for found in IMPORTS if found.when != "types"]


def test_the_reader_sees_what_is_there() -> None:
    """Relative, absolute, nested and type-only imports, each for what it is."""
    assert Import("_delivery/delivery.py", "zespan_serverless._base.reports", "module") in IMPORTS
    assert Import("_delivery/delivery.py", "zespan_serverless._delivery.buffer", "module") in IMPORTS
    assert Import("_process/container.py", "zespan_serverless._trace", "module") in IMPORTS
    assert Import("_observe/start.py", "zespan_serverless.providers.openai", "function") in IMPORTS
    assert Import("errors.py", "zespan_serverless._base.reports", "types") in IMPORTS
    assert len(AT_RUN_TIME) > 100


def test_every_part_has_its_place() -> None:
    """A new part says in LAYERS where it belongs, and a part that is gone leaves it."""
    assert {part_of(file.relative_to(PACKAGE).as_posix()) for file in FILES} == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(file: Path) -> None:
    """The core knows no host, no host knows another; types are imports, too: whoever reads the code follows them."""
    wrong = [
        found
        for found in imports_in(file)
        if found.target not in ("", found.part) and RANK[found.target] >= RANK[found.part]
    ]
    assert wrong == []


def test_few_speak_to_the_network() -> None:
    """HTTP has one place, which those use that speak to a backend, or to Lambda."""
    found: dict[str, set[str]] = {}
    for one in AT_RUN_TIME:
        if one.module in CLIENTS:
            found.setdefault(one.file, set()).add(one.module)
    assert found == SPEAKS


def test_nothing_of_others_is_imported() -> None:
    """The core has no dependencies; a room's SDK is imported by those who have it, in functions."""
    foreign = [
        one
        for one in AT_RUN_TIME
        if one.module.split(".")[0] not in {*sys.stdlib_module_names, "_xxsubinterpreters", PACKAGE.name}
        and not (one.file in THIRD_PARTY_IN and one.when == "function")
    ]
    assert foreign == []


def test_nothing_harmful_or_dear_is_imported() -> None:
    """Neither at import nor later."""
    banned = [one for one in AT_RUN_TIME if one.module in (BANNED_ELSEWHERE if one.part == "testing" else BANNED)]
    assert banned == []
