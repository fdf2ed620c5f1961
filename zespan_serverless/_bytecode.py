"""Compiles a copy of the package for Lambda's layer. Run by the Python version that it compiles for, see `_layer`.

The bytecode has no docstrings, nothing for type checkers only, and no annotations but those that are the fields of a
TypedDict and the like, because they are not used on Lambda and take space and memory. It is marked as unchecked (PEP
552): a check would compare file times, which unzipping changes.
"""

import ast
import importlib.util
import marshal
import sys
from collections.abc import Iterator
from pathlib import Path

_UNCHECKED_HASH = 1  # flags of a .pyc file: it contains a hash of its source, which Python does not check


def compile_all(package: Path) -> None:
    """Write a .pyc file for every source below `package`. The paths in them are those on Lambda, below /opt/python."""
    for file in sorted(package.rglob("*.py")):
        source = file.read_bytes()
        name = "/opt/python/zespan_serverless/" + file.relative_to(package).as_posix()
        code = compile(_without_types(ast.parse(source)), name, "exec", dont_inherit=True, optimize=2)
        head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(source)
        target = Path(importlib.util.cache_from_source(str(file), optimization=""))
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(head + marshal.dumps(code))


def _without_types(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.Module) or (isinstance(node, ast.ClassDef) and not _has_fields(node)):
            node.body = [_unannotated(statement) for statement in _executed(node.body)]
    return tree


def _executed(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body without those below `if TYPE_CHECKING`."""
    for statement in body:
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name):
            is_for_types = statement.test.id == "TYPE_CHECKING"
            yield from statement.orelse if is_for_types else (statement,)
        else:
            yield statement


def _has_fields(node: ast.ClassDef) -> bool:
    """Whether a class is made of its annotations."""
    return any(isinstance(base, ast.Name) and base.id in ("TypedDict", "NamedTuple", "Protocol") for base in node.bases)


def _unannotated(statement: ast.stmt) -> ast.stmt:
    """Return `name = value` for `name: type = value`, and nothing for `name: type`."""
    if not isinstance(statement, ast.AnnAssign):
        return statement
    plain = ast.Pass() if statement.value is None else ast.Assign([statement.target], statement.value)
    return ast.copy_location(plain, statement)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 (any version may be given)
        sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])
    compile_all(Path(sys.argv[1]))
