"""`zespan-serverless tail`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Print what arrives at a running `dev`."""
    parser.add_argument("--format", choices=("human", "json", "md"), default="human", help="default: %(default)s")
    parser.add_argument("--last", type=int, default=3, metavar="N", help="begin with the last N; default: %(default)s")
    parser.add_argument(
        "--follow", action=argparse.BooleanOptionalAction, default=True, help="go on with what comes; default: yes"
    )
    parser.add_argument(
        "--dev", metavar="URL", help="that of `dev`, as it has printed it; default: the `dev` of this folder"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..tail.command import tail

    return tail(arguments)
