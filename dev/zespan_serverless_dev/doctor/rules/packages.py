"""Rules on what a function's package contains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..concerned import concerned
from ..findings import Finding, rule
from ..lookup import PACKAGE, handler_module
from ..model import Function, Host, Place, Project
from ..readers.files import text_of
from ..source import Module

_OURS = re.compile(r"zespan[-_.]serverless", re.IGNORECASE)
_MORE = re.compile(r"\s*(-r|--requirement|-e|--editable|\.|-c|--constraint)(\s|=|/|$)")
"""A line of requirements.txt that has others read, or a local package that may need ours."""
_LIST_OF_COG = re.compile(r"""^[^#\n]*python_requirements["']?\s*:\s*["']?([^\s"',}#]*)""", re.MULTILINE)
"""Where cog.yaml names its list of requirements, which may have any name."""
_LISTS = ("requirements.txt", "pyproject.toml")
_SCRIPTS = ("build.sh", "cog.yaml", "Dockerfile")
"""Files that may install the package themselves."""
_HOSTS: tuple[Host, ...] = (
    *("aws_lambda", "azure_functions", "alibaba", "oracle", "digitalocean", "openfaas", "knative", "cog"),
)


@rule(
    "ZS218",
    "package-not-deployed",
    "error",
    "Without the package beside the code, or in a layer, the import fails, and so does every invocation.",
    "Name zespan-serverless, or the wheel's file, in the function's requirements.txt, or add the layer.",
)
def package_not_deployed(project: Project) -> Iterator[Finding]:
    """Find functions whose handler imports the package, and whose requirements do not name it."""
    for function in concerned(project, *_HOSTS):
        module = _entry(project, function)
        if module is None or function.code is None or function.layers or function.is_packaged_as_image:
            continue
        file = function.place.file if _lacks_list(function) else _list_without_ours(function)
        if module.uses(PACKAGE) and file and not (function.code / PACKAGE).exists():
            text = f"{function.name} imports {PACKAGE}, which its {file.name} does not name"
            yield Finding(text, Place(file), _remedy(function, file), function.name)


def _remedy(function: Function, file: Path) -> str:
    """Return what to type, if it is not the rule's own remedy: layers are AWS's."""
    if not _lacks_list(function):
        named = "the dependencies of pyproject.toml" if file.name == "pyproject.toml" else file.name
        return "" if function.host == "aws_lambda" else f"Name zespan-serverless, or the wheel's file, in {named}."
    if "python_packages" in _text(file):
        return "Move python_packages to requirements.txt, and write python_requirements: requirements.txt instead."
    return "Add python_requirements: requirements.txt to build."


def _entry(project: Project, function: Function) -> Module | None:
    """Return the module that the platform imports."""
    if function.host == "azure_functions" and function.code:
        path = (function.code / "function_app.py").resolve()
        return next((module for module in project.modules if module.path.resolve() == path), None)
    return handler_module(project, function)


def _lacks_list(function: Function) -> bool:
    """Whether the file of a model of Cog names no list of requirements, so that one beside it has no effect."""
    text = _text(function.place.file)
    return function.host == "cog" and not _LIST_OF_COG.search(text) and not _OURS.search(text)


def _list_without_ours(function: Function) -> Path | None:
    """Return the list of requirements beside a function, if there is one, and nothing that installs packages names
    this one or leads elsewhere."""
    found, folder = None, function.code or Path()
    of_cog = _LIST_OF_COG.search(_text(function.place.file)) if function.host == "cog" else None
    if any(_OURS.search(_text(file)) for file in (folder / name for name in _SCRIPTS)):
        return None
    for name in _LISTS if of_cog is None else of_cog.groups():
        text = _text(folder / name)
        if _OURS.search(text) or any(_MORE.match(line) for line in text.splitlines()):
            return None
        found = found or (folder / name if text else None)
    return found


def _text(file: Path) -> str:
    """Return the text of a file; empty if it cannot be read."""
    try:
        return text_of(file)
    except (OSError, ValueError):
        return ""
