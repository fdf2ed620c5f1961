"""`zespan-serverless tail`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Print what arrives at a running `dev`."""
    parser.description = "Print the last traces of a running `zespan-serverless dev`, and each new one as it arrives."
    parser.add_argument("--format", choices=("human", "json", "md"), default="human", help="default: %(default)s")
    parser.add_argument(
        "--last", type=int, default=3, metavar="N", help="print the last N traces first; default: %(default)s"
    )
    parser.add_argument(
        "--follow", action=argparse.BooleanOptionalAction, default=True, help="continue with new traces; default: yes"
    )
    parser.add_argument(
        "--dev", metavar="URL", help="the URL that `dev` has printed; default: the `dev` of this folder"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..tail.command import tail

    return tail(arguments)
