"""`zespan-serverless dev`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import PORT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Show what functions send, live, on a local page."""
    parser.description = "Receive telemetry on this machine, and show it live on a local page."
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s; 0 takes a free one")
    parser.add_argument("--name", help="a name for this run, shown on the page")
    parser.add_argument("--keep", type=int, default=10, metavar="N", help="keep the last N runs; default: %(default)s")
    parser.add_argument("--memory", action="store_true", help="keep nothing on disk")
    parser.add_argument(
        "--folder", type=Path, default=Path(".zespan"), help="where runs are kept; default: %(default)s"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..server.terminal import serve

    return serve(arguments)
