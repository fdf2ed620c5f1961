"""`zespan-serverless init`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Show, or write, the few lines that trace a project."""
    parser.description = (
        "Find out what a project is, and print the few lines that trace it as a diff: decorator or middleware, "
        "requirement, variables, timeout. What it leaves to you is on stderr. Exit codes: 0 done, or nothing to do; "
        "2 an argument is wrong, or a file cannot be written; 3 nothing was found that it knows."
    )
    parser.add_argument("path", nargs="?", type=Path, default=Path(), metavar="PATH", help="default: this folder")
    parser.add_argument("--write", action="store_true", help="make the changes")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="with --write: also in files with changes that are not in git"
    )
    parser.add_argument(
        "--function", action="append", default=[], metavar="NAME", help="only this function; may be repeated"
    )
    parser.add_argument("--requirement", metavar="TEXT", help="what requirements name, such as the path of a wheel")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..init.run import run

    return run(arguments)
