"""Maps the copies of code in CDK's cdk.out to the original files, for which findings are reported."""

from __future__ import annotations

from pathlib import Path

from ..model import Project
from ..source import Module

_OUTPUT = "cdk.out"


def unite(project: Project) -> None:
    """Remove modules in cdk.out that are copies, and point their functions to the originals."""
    copies = [module for module in project.modules if _OUTPUT in module.path.parts]
    if not copies:
        return
    originals = {_content(module): module.path for module in project.modules if module not in copies}
    found = {module.path: originals[content] for module in copies if (content := _content(module)) in originals}
    project.modules = [module for module in project.modules if module.path not in found]
    for function in project.functions:
        if function.code is not None and _OUTPUT in function.code.parts:
            function.code = _original(function.code, found) or function.code


def _original(code: Path, found: dict[Path, Path]) -> Path | None:
    """Return the folder that a folder of cdk.out is a copy of, by the first of its modules that still exists there."""
    for copy, original in found.items():
        copy = copy.resolve()
        if code in copy.parents:
            below = copy.relative_to(code).parts
            if original.parts[-len(below) :] == below:
                return original.resolve().parents[len(below) - 1]
    return None


def _content(module: Module) -> bytes:
    """Return a module's text; its path if it has none, so that it equals no other."""
    try:
        return module.path.read_bytes() or str(module.path).encode()
    except OSError:
        return str(module.path).encode()
