"""Runs `zespan-serverless doctor` in this process."""

from __future__ import annotations

import io
from argparse import ArgumentParser
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from zespan_serverless_dev.commands.doctor import add_arguments


@dataclass(frozen=True)
class Ran:
    """How the command has ended, and what it has printed."""

    code: int
    out: str
    err: str


def doctor(*arguments: object) -> Ran:
    """Run the command with these arguments."""
    add_arguments(parser := ArgumentParser())
    parsed = parser.parse_args([str(argument) for argument in arguments])
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = parsed.run(parsed)
    return Ran(code, out.getvalue(), err.getvalue())
