"""Which part may know which, read from the syntax trees; how long a file may be, and how much a cold start reads."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
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
    {"sdks", "_outbound", "_forwarding"},
    {"providers"},
    {"_observe"},
    {"_calls"},
    {
        *("adk", "agentcore", "alibaba", "aws_lambda", "azure_functions", "asgi", "cloudflare", "cog", "jobs"),
        *("logs", "modal", "openwhisk", "oracle", "runpod", "vercel_queue", "wsgi"),
    },
    # Jobs run on Cloud Run, too; handler classes, WSGI and ASGI on Vercel, where queues start steps of workflows.
    {"google_cloud", "tasks", "vercel", "vercel_step"},
    {"_worker"},
    {"celery", "dramatiq", "rq", "temporal"},
    {"durable", "frameworks", "opentelemetry", "powertools", "testing", "types"},
    {"__init__"},
    {"_bytecode", "_layer", "_replay"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# A file is one idea. These are longer than that: each is to be divided, none is to be added.
LINES_MAX = 400
TOO_LONG = {"providers/_prices.py"}  # a table that a program makes

# Modules that import each other, type-only imports included. None is to be added.
CIRCLES = {
    frozenset({"zespan_serverless._base.guard", "zespan_serverless._base.log"}),
}

# What a Lambda function reads of this package until its first invocation is over: with the journal, the exporter of
# Zespan, and the room of openai. A module costs a cold start 0.1 ms before a line of it is read, a folder as much, 80
# lines without bytecode cost 1 ms: raise these when the growth is worth it.
COLD_MODULES_MAX = 81
COLD_LINES_MAX = 13_072

# Who may speak to the network.
CLIENTS = {"http.client", "urllib.request", "socket", "ssl", "asyncio"}
SPEAKS = {
    "_http/client.py": {"socket"},
    "_http/proxy.py": {"urllib.request"},
    "_http/sockets.py": {"socket"},
    "_http/through_client.py": {"socket"},
    "_http/transport.py": {"ssl"},
    "_process/listener.py": {"socket"},  # a pair of its own
    "vercel.py": {"socket"},
    "adk.py": {"asyncio"},  # knows when the task of a run ends
    "aws_lambda/_loop.py": {"asyncio"},  # runs async handlers
    "_base/aio.py": {"asyncio"},  # leaves the event loop free
    "_delivery/aio.py": {"asyncio"},
    "_delivery/in_loop.py": {"asyncio"},  # has no threads
    "_process/others.py": {"asyncio"},  # runs flush functions that are async
    "testing/_backend.py": {"socket", "ssl"},
}

# What costs too much at a cold start, or does harm: `warnings` under -W error, `random` after a seed or a restore.
BANNED = {"warnings", "random", "dataclasses", "uuid", "requests", "httpx", "urllib3"}
BANNED_ELSEWHERE = BANNED - {"dataclasses", "uuid", "warnings"}  # in testing/

# In functions, of people who have openai, Powertools, or a key in AWS; and Lambda's runtime client, in its process.
THIRD_PARTY_IN = {
    "celery.py",
    "powertools.py",
    "_platforms/secrets.py",
    "aws_lambda/auto.py",
    "aws_lambda/_snapstart.py",
    "exporters/stores/_aws.py",
    "exporters/stores/azure_queue.py",
    "exporters/stores/pubsub.py",
}
# Modules that are imported in a function, when a user asks for the hook of that framework.
PYTEST = {"testing/plugin.py", "testing/_fixtures.py"}  # which it imports
HOOKS = {
    "adk.py",
    "dramatiq.py",
    "durable.py",
    "rq.py",
    "temporal.py",
    "frameworks/_dspy.py",
    "frameworks/_langchain.py",
    "frameworks/_openai_agents.py",
    "opentelemetry/_joining.py",
}


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


@functools.cache
def imports_in(file: Path) -> list[Import]:
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
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, ast.expr):  # no expression imports anything
                    yield from visit(child, "function" if inside else when)

    return list(visit(ast.parse(file.read_text()), "module"))


FILES = sorted(PACKAGE.rglob("*.py"))


@functools.cache
def imports() -> list[Import]:
    """Return all imports of the package; not at import, because every process of the suite imports this module."""
    return [found for file in FILES for found in imports_in(file)]


def at_run_time() -> list[Import]:
    return [found for found in imports() if found.when != "types"]


def test_the_reader_sees_what_is_there() -> None:
    """Relative, absolute, nested and type-only imports, each for what it is."""
    assert Import("_delivery/delivery.py", "zespan_serverless._base.reports", "module") in imports()
    assert Import("_delivery/delivery.py", "zespan_serverless._delivery.accounts", "module") in imports()
    assert Import("_observe/spans.py", "zespan_serverless._trace", "module") in imports()
    assert Import("_observe/__init__.py", "zespan_serverless.sdks", "function") in imports()
    assert Import("errors.py", "zespan_serverless._base.reports", "types") in imports()
    assert len(at_run_time()) > 100


def test_every_part_has_its_place() -> None:
    """A new part says in LAYERS where it belongs, and a part that is gone leaves it."""
    assert {part_of(file.relative_to(PACKAGE).as_posix()) for file in FILES} == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(file: Path) -> None:
    """The core knows no host, no host knows another; types are imports, too, because readers of the code follow
    them."""
    wrong = [
        found
        for found in imports_in(file)
        if found.target not in ("", found.part) and RANK[found.target] >= RANK[found.part]
    ]
    assert wrong == []


def test_few_speak_to_the_network() -> None:
    """HTTP has one place, which those use that speak to a backend, or to Lambda."""
    found: dict[str, set[str]] = {}
    for one in at_run_time():
        if one.module in CLIENTS:
            found.setdefault(one.file, set()).add(one.module)
    assert found == SPEAKS


def test_no_third_party_package_is_imported() -> None:
    """The core has no dependencies; a room's SDK is imported by those who have it, in functions."""
    foreign = [
        one
        for one in at_run_time()
        if one.module.split(".")[0] not in {*sys.stdlib_module_names, "_xxsubinterpreters", PACKAGE.name}
        and not (one.file in THIRD_PARTY_IN and one.when == "function")
        and one.file not in HOOKS
        and not (one.file in PYTEST and one.module == "pytest")
    ]
    assert foreign == []


def test_nothing_harmful_or_dear_is_imported() -> None:
    """Neither at import nor later."""
    banned = [one for one in at_run_time() if one.module in (BANNED_ELSEWHERE if one.part == "testing" else BANNED)]
    assert banned == []


def test_contributing_names_every_room_in_its_place() -> None:
    """The table in CONTRIBUTING.md is LAYERS: rows and arrows lead downwards, a comma separates rooms of one line."""
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    table = page.partition("| Layer | Rooms |")[2].partition("\n\n")[0]
    rows = [line.split("|")[2] for line in table.splitlines()[2:]]
    told = [set(re.findall(r"`(\w+)`", rooms)) for row in rows for rooms in row.split("→")]
    assert told == LAYERS[::-1]


def test_the_picture_shows_every_arrow() -> None:
    """The picture in docs/architecture.md has every arrow of the code that does not follow from others."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", page, re.MULTILINE))
    arrows = {(one.part, one.target) for one in imports() if one.target not in ("", one.part)}
    targets: dict[str, set[str]] = {}
    for part, target in sorted(arrows):
        targets.setdefault(part, set()).add(target)

    @functools.cache
    def below(part: str) -> set[str]:
        return targets.get(part, set()).union(*(below(target) for target in targets.get(part, ())))

    needed = {(a, b) for a, b in arrows if not any(b in below(c) for c in targets[a])}
    assert drawn == needed, "\n".join(f"    {a} --> {b}" for a, b in sorted(needed))


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_are_named_exist(page: str) -> None:
    """By their path in the repository, or in the package."""
    named = re.findall(r"`([\w./]+(?:\.py|/))`", (PACKAGE.parent / page).read_text())
    assert len(named) > 5
    folders = [PACKAGE.parent, PACKAGE, PACKAGE.parent / "dev" / "zespan_serverless_dev"]
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_file_is_too_long(file: Path) -> None:
    """What is divided leaves TOO_LONG."""
    is_long = len(file.read_text().splitlines()) > LINES_MAX
    assert is_long == (file.relative_to(PACKAGE).as_posix() in TOO_LONG)


def test_no_modules_import_each_other() -> None:
    """Not even in functions, or for types: because a reader of one of them would have to read them all."""
    names = {module_name(file): set[str]() for file in FILES}
    for one in imports():
        if one.module in names and one.module != (importer := module_name(PACKAGE / one.file)):
            names[importer].add(one.module)
    assert circles(names) == CIRCLES


def test_circles_are_found() -> None:
    """Of any length, and apart from what leads into them or out of them."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"g"}, "g": {"e", "a"}}
    assert circles(graph) == {frozenset("bc"), frozenset("efg")}


def test_what_a_cold_start_reads(tmp_path: Path) -> None:
    """Growth is a decision: raise the limits with it, and lower them when the code shrinks."""
    script = """
        import importlib, json, sys
        from zespan_serverless import zespan_lambda
        from zespan_serverless.testing import Backend, LambdaContext

        with Backend() as backend:
            @zespan_lambda(base_url=backend.url, journal=sys.argv[1], flush_timeout=30)
            def handler(event, context):
                return event

            handler({}, LambdaContext())
            assert backend.events
        for name in ("_patch", "_prices", "_sending._httpx", "openai"):  # as if openai made a call
            importlib.import_module(f"zespan_serverless.providers.{name}")
        print(json.dumps([module.__file__ for name, module in sys.modules.items() if name.startswith("zespan_")]))
    """
    environment = {"ZESPAN_ENABLED": "1", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", textwrap.dedent(script), f"{tmp_path}/journal"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    files = [Path(file) for file in json.loads(printed) if "/testing/" not in file]
    lines = sum(len(file.read_text().splitlines()) for file in files)
    assert (len(files) <= COLD_MODULES_MAX, lines <= COLD_LINES_MAX) == (True, True), (len(files), lines)


def test_no_package_of_others_is_loaded() -> None:
    """Whatever is installed beside it: a function that makes no calls loads the standard library and this package."""
    script = """
        from zespan_serverless import flush, zespan_lambda
        from zespan_serverless.testing import LambdaContext

        @zespan_lambda(api_key="zsp_key", base_url="http://127.0.0.1:9", flush_timeout=0.01)
        def handler(event, context):
            return event

        handler({}, LambdaContext())
        flush(0.01)
    """
    loaded = _loaded(script) - _loaded("")
    assert PACKAGE.name in loaded
    own = {*sys.stdlib_module_names, "_xxsubinterpreters", "org"}  # the last is Jython's, which `copy` looks for
    assert loaded - own == {PACKAGE.name}


def _loaded(script: str) -> set[str]:
    """Return the packages that a script loads, as -X importtime tells."""
    environment = {"ZESPAN_ENABLED": "1", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-X", "importtime", "-c", textwrap.dedent(script)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stderr
    lines = re.findall(r"^import time:[\d |]+\|\s+(\S+)$", told, re.MULTILINE)
    return {line.partition(".")[0] for line in lines}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the strongly connected components of more than one node (Tarjan's algorithm)."""
    found: set[frozenset[str]] = set()
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], index[target])
        if lowest[node] == index[node]:
            start = stack.index(node)
            component = frozenset(stack[start:])
            del stack[start:]
            if len(component) > 1:
                found.add(component)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found
