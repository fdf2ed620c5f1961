"""Reads Dockerfiles, as far as their last stage defines how the container starts.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project, Unknown, Variable
from . import _files

_NAME = re.compile(r"\$\{?(\w+)(?:(:-)([^}]*))?\}?")
_TAG = re.compile(r"lambda/python:(\d+\.\d+)")
_HEREDOC = re.compile(r"<<-?[\"']?(\w+)")
# bash is left out: it replaces itself by a single command.
_LIST_WITH_SHELL = re.compile(r"""\[\s*"(/bin/)?(da|a)?sh"\s*,\s*"-\w*c"\s*,\s*"(?P<command>.*)""")
_EXEC = re.compile(r"(^|&&|;|\|\|)\s*exec\s")


@dataclass
class _Stage:
    base: str
    variables: dict[str, Variable] = field(default_factory=dict)
    command: tuple[str, int] | None = None
    entrypoint: tuple[str, int] | None = None


def read(root: Path, project: Project) -> None:
    """Add images of AWS's base for Lambda as functions of Lambda, and other ones as containers."""

    def add(file: Path, content: str) -> bool:
        stage = _last(file, content)
        if stage is None:
            return False
        project.functions.append(_function(file, stage))
        return True

    _files.each(project, root, ("Dockerfile", "Dockerfile.*", "*.Dockerfile", "Containerfile"), add)


def _function(file: Path, stage: _Stage) -> Function:
    name = file.parent.resolve().name
    line = stage.command[1] if stage.command else None
    function = Function(name, "container", Place(file, line), environment=stage.variables, code=file.parent)
    function.environment_is_partial = True  # more may be set when the image runs
    if "lambda/python" in stage.base:
        tag = _TAG.search(stage.base)
        function.host, function.is_packaged_as_image = "aws_lambda", True
        function.runtime = f"python{tag[1]}" if tag else UNKNOWN
        function.handler = _handler(stage.command[0]) if stage.command else None
    else:
        started = stage.entrypoint or stage.command
        function.starts_in_shell = started is not None and _stays_in_shell(started[0])
        function.place = Place(file, started[1] if started else None)
    return function


def _stays_in_shell(command: str) -> bool:
    """Whether a command is run by a shell, in either form, that no `exec` replaces by the program."""
    in_list = _LIST_WITH_SHELL.match(command)
    text = in_list["command"] if in_list else "" if command.startswith("[") else command
    return bool(text) and not _EXEC.search(text)


def _handler(command: str) -> str | Unknown | None:
    """Return the handler, which is the first word of the image's command."""
    try:
        words = json.loads(command)
    except ValueError:
        words = command.split()
    first = words[0] if isinstance(words, list) and words else None
    return first if isinstance(first, str) and "$" not in first else UNKNOWN


def _last(file: Path, content: str) -> _Stage | None:
    """Return the last stage, with what it has of the stages that it is built on."""
    given: dict[str, str] = {}
    stages: dict[str, _Stage] = {}
    stage: _Stage | None = None
    for line, word, rest in _instructions(content):
        if word == "FROM":
            base, _, name = rest.partition(" AS " if " AS " in rest else " as ")
            base = _filled(base.split()[-1] if base.split() else "", given)
            before = stages.get(base.lower())
            stage = _Stage(before.base if before else base, dict(before.variables) if before else {})
            stage.command, stage.entrypoint = (before.command, before.entrypoint) if before else (None, None)
            stages[name.strip().lower() or f"({line})"] = stage
        elif word == "ARG":
            name, _, value = rest.partition("=")
            given.setdefault(name.strip(), value.strip().strip("\"'"))
        elif stage is not None and word == "ENV":
            stage.variables |= _variables(file, line, rest)
        elif stage is not None and word == "CMD":
            stage.command = rest, line
        elif stage is not None and word == "ENTRYPOINT":
            stage.entrypoint = rest, line
    return stage


def _instructions(content: str) -> list[tuple[int, str, str]]:
    """Yield each instruction with its line; a backslash at the end continues a line, and << has its own lines."""
    found: list[tuple[int, str, str]] = []
    started, pending, until = 0, "", ""
    for number, line in enumerate(content.splitlines(), 1):
        if until:
            until = "" if line.strip() == until else until
            continue
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        started = started if pending else number
        pending += line.rstrip().removesuffix("\\") + " "
        if not line.rstrip().endswith("\\"):
            word, _, rest = pending.strip().partition(" ")
            found.append((started, word.upper(), rest.strip()))
            heredoc = _HEREDOC.search(rest) if word.upper() in ("RUN", "COPY", "ADD") else None
            pending, until = "", heredoc[1] if heredoc else ""
    return found


def _variables(file: Path, line: int, rest: str) -> dict[str, Variable]:
    try:
        words = shlex.split(rest)
    except ValueError:  # a quote that does not end
        return {}
    if words and "=" not in words[0]:  # the older form: ENV NAME value
        words = [f"{words[0]}={' '.join(words[1:])}"]
    pairs = [word.partition("=") for word in words if "=" in word]
    return {name: Variable(name, UNKNOWN if "$" in value else value, Place(file, line)) for name, _, value in pairs}


def _filled(text: str, given: dict[str, str]) -> str:
    return _NAME.sub(lambda match: given.get(match[1]) or match[3] or "", text)
