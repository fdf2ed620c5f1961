"""The command: detects the kind of a project, and shows or writes the few lines that trace it."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from ..doctor.model import Project
from ..doctor.readers import read
from . import requirements
from .draft import Draft
from .hosts import (
    alibaba,
    aws,
    azure,
    cdk,
    chalice,
    cloudflare,
    google,
    gpus,
    kubernetes,
    openwhisk,
    oracle,
    queues,
    script,
    vercel,
    web,
    zappa,
)
from .writing import Refused, diff, write

DONE, USAGE, NOTHING = 0, 2, 3


def run(arguments: Namespace) -> int:
    """Run the command, and return the exit code."""
    root: Path = arguments.path
    if not root.is_dir():
        return _refuse(f"there is no folder {str(root)!r}: name that of the project, or leave it out", USAGE)
    project = read(root)
    named = [each.name for each in project.functions if each.host == "aws_lambda"]
    if unknown := set(arguments.function).difference(named):
        names = ", ".join(named) or "none"
        return _refuse(f"there is no function {min(unknown)!r}: the project's are {names}", USAGE)
    draft = planned(root, project, arguments.function, arguments.requirement)
    changes = draft.changes()
    if arguments.write and changes:
        try:
            write(changes, allow_dirty=arguments.allow_dirty)
        except Refused as error:
            return _refuse(str(error), USAGE)
    sys.stdout.write(diff(draft))
    _tell(draft, project, is_written=arguments.write)
    return DONE if changes or draft.notes or _is_traced(project) else NOTHING


def planned(root: Path, project: Project, only: list[str], requirement: str | None = None) -> Draft:
    """Return the draft for a project; `only` names its functions that are meant, and none means all that is found."""
    draft = Draft(root, requirement or requirements.requirement())
    aws.plan(draft, project, only)
    if not only:
        alibaba.plan(draft, project)
        azure.plan(draft, project)
        google.plan(draft, project)
        vercel.plan(draft, project)
        kubernetes.plan(draft, project)
        oracle.plan(draft, project)
        openwhisk.plan(draft, project)
        cloudflare.plan(draft, project)
        gpus.plan(draft, project)
        queues.plan(draft, project)
        others = [*_taken(root, project), *cdk.plan(draft, project), *chalice.plan(draft, project)]
        web.plan(draft, project, others, has_key=zappa.plan(draft))
        script.plan(draft, project, others)
    return draft


def _taken(root: Path, project: Project) -> list[Path]:
    """Return the folders whose applications are called by functions, which are traced themselves."""
    hosts = ("aws_lambda", "azure_functions")
    found = [each.code for each in project.functions if each.code and each.host in hosts]
    return [*found, *([root / "api"] if (root / "vercel.json").is_file() else [])]


def _tell(draft: Draft, project: Project, *, is_written: bool) -> None:
    """Print what was done and what is left, separately from the diff, which may go into a file."""
    count = len(draft.changes())
    files = f"{count} file" + ("" if count == 1 else "s")
    if count:
        done = f"{files} changed" if is_written else f"{files} to change: --write does it"
    elif _is_traced(project):
        done = "nothing to do"
    elif draft.notes:
        done = "nothing that it can write; what is left to you:"
    else:
        done = "found nothing that it knows how to trace: see docs/init.md"
    print(f"zespan-serverless init: {done}", file=sys.stderr)
    for note in draft.notes:
        print(f"- {note}", file=sys.stderr)


def _is_traced(project: Project) -> bool:
    return any(module.uses("zespan_serverless") for module in project.modules)


def _refuse(why: str, code: int) -> int:
    print(f"zespan-serverless init: {why}", file=sys.stderr)
    return code
