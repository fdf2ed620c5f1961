"""`import zespan_serverless`: what is there, and that it costs next to nothing until it is used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import zespan_serverless
from zespan_serverless import types

ROOT = Path(zespan_serverless.__file__).parents[1]


def in_fresh_process(code: str, before: str = "") -> dict[str, Any]:
    """What `code` does to a Python without site-packages of its own making: modules, threads, sockets, children."""
    script = f"""
import json, sys, threading, typing, __future__
{before}
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(("socket.", "subprocess.")) else None)
modules = set(sys.modules)
{code}
print(json.dumps({{
    "modules": sorted(set(sys.modules) - modules),
    "threads": threading.active_count(),
    "seen": seen,
}}))
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_importing_the_package_imports_nothing() -> None:
    """Itself and its version, besides `typing`, which everything imports."""
    found = in_fresh_process("import zespan_serverless")
    assert found["modules"] == ["zespan_serverless", "zespan_serverless._version"]


def test_importing_the_decorator_starts_nothing() -> None:
    """No thread, no socket, no child process, and nothing but the standard library; using it is another matter."""
    found = in_fresh_process(
        before="import logging",  # brings dataclasses in Python 3.14, but not in 3.13 and 3.15
        code="""
from zespan_serverless import zespan_lambda
@zespan_lambda(api_key="zsp_1", base_url="http://127.0.0.1:9")
def handler(event, context):
    return 1
""",
    )
    assert (found["threads"], found["seen"]) == (1, [])
    tops = {module.split(".")[0] for module in found["modules"]}
    assert tops <= {*sys.stdlib_module_names, "zespan_serverless"}
    dear = {"asyncio", "concurrent", "dataclasses", "urllib.request", "uuid", "zlib", "multiprocessing", "subprocess"}
    later = {"zespan_serverless.providers.openai", "zespan_serverless._http.transport", "zespan_serverless.testing"}
    assert not (dear | later) & set(found["modules"])


@pytest.mark.slow
def test_with_openai_there_hardly_anything_is_new() -> None:
    """What the decorator imports has been imported by openai before, but for a few modules."""
    found = in_fresh_process("from zespan_serverless import zespan_lambda", before="import openai, httpx")
    new = {m for m in found["modules"] if not m.startswith("zespan_serverless")}
    assert new <= {"atexit", "signal"}


FRONT_DOOR: Any = zespan_serverless  # whose `__all__` type checkers do not see: they read its imports
TYPES: Any = types


def declared(module: ModuleType) -> dict[str, str | None]:
    """Return the names that type checkers see, and where from."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {str(alias.asname): node.module for node in imports for alias in node.names}


def test_all_is_what_is_public() -> None:
    """`__all__`, `dir()`, the lazy table and what type checkers see are the same names, from the same places."""
    assert declared(FRONT_DOOR) == FRONT_DOOR._HOME
    assert FRONT_DOOR.__all__ == sorted([*FRONT_DOOR._HOME, "__version__"])
    assert dir(FRONT_DOOR) == FRONT_DOOR.__all__
    assert declared(TYPES) == TYPES._HOME
    assert dir(TYPES) == TYPES.__all__ == sorted(TYPES._HOME)


def test_every_decorator_of_a_host_is_imported_from_the_package() -> None:
    """`from zespan_serverless import zespan_...` works for all hosts, so that nobody has to know their modules."""
    rooms = Path(str(zespan_serverless.__file__)).parent
    defined = {
        node.name
        for file in (*rooms.glob("*.py"), *rooms.glob("[!_]*/__init__.py"), *rooms.glob("google_cloud/*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("zespan_") and node.decorator_list  # overloads
    }
    assert len(defined) > 10
    assert defined <= {*FRONT_DOOR.__all__}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in (FRONT_DOOR, TYPES) for name in module.__all__], ids=str
)
def test_every_public_name_has_a_docstring(module: Any, name: str) -> None:
    """And says what it is for."""
    value = getattr(module, name)
    assert getattr(module, name) is value
    assert value.__doc__


def test_types_are_imported_when_they_are_asked_for() -> None:
    """Importing the module costs next to nothing, and one type not what another one needs."""
    found = in_fresh_process("from zespan_serverless.types import Dropped")
    ours = {m for m in found["modules"] if m.startswith("zespan_serverless.")}
    assert ours == {f"zespan_serverless.{m}" for m in ("_version", "types", "_base", "_base.reports")}
    with pytest.raises(ImportError):
        exec("from zespan_serverless.types import Droped")


def test_star_import_brings_all_public_names() -> None:
    """Brings all of it."""
    names: dict[str, Any] = {}
    exec("from zespan_serverless import *", names)
    assert set(FRONT_DOOR.__all__) <= set(names)


def test_unknown_name_raises_where_it_is_used() -> None:
    """A typo fails where it is made, as in any module."""
    with pytest.raises(AttributeError, match="module 'zespan_serverless' has no attribute 'zespan_lambada'"):
        FRONT_DOOR.zespan_lambada  # noqa: B018
    with pytest.raises(ImportError):
        exec("from zespan_serverless import zespan_lambada")


def test_the_version_is_one() -> None:
    """What events carry is what is installed."""
    import importlib.metadata

    from zespan_serverless._record.record import Resource
    from zespan_serverless.settings import Settings

    assert Resource(Settings()).sdk_version == zespan_serverless.__version__
    try:
        assert importlib.metadata.version("zespan-serverless") == zespan_serverless.__version__
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")
