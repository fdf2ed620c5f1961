"""Runs `zespan-serverless init` in this process."""

from __future__ import annotations

import io
from argparse import ArgumentParser
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from zespan_serverless_dev.commands.init import add_arguments

from tests.dev.doctor.command import Ran

WHEEL = "./dist/zespan_serverless-0.1.0-py3-none-any.whl"


def init(folder: Path, *options: str) -> Ran:
    """Run the command on a folder with these options."""
    add_arguments(parser := ArgumentParser())
    parsed = parser.parse_args([str(folder), "--requirement", WHEEL, *options])
    out, err = io.StringIO(newline=""), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = parsed.run(parsed)
    return Ran(code, out.getvalue(), err.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".git" not in file.parts
    }
