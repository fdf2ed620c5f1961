"""`zespan-serverless run`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Run a program whose telemetry goes to this machine."""
    parser.description = "Run a program whose telemetry goes to this machine, and print its traces when it has ended."
    parser.epilog = "Exit code: the program's; 128 and the signal's number if a signal has ended it."
    parser.add_argument(
        "--dev", metavar="URL", help="send to the `dev` at this URL; default: the one of this folder, if there is one"
    )
    parser.add_argument("--alone", action="store_true", help="do not send to a `dev` that runs here")
    parser.add_argument("--model", action="store_true", help="have a stand-in for OpenAI answer, which needs no key")
    parser.add_argument("--format", choices=("human", "json", "md"), default="human", help="default: %(default)s")
    parser.add_argument("--last", type=int, default=20, metavar="N", help="print the last N traces; default: 20")
    parser.add_argument("--output", type=Path, metavar="FILE", help="print to a file; default: standard error")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="such as: -- python app.py")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..run.command import run_command

    return run_command(arguments)
