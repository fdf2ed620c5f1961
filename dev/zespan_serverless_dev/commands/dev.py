"""`zespan-serverless dev`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Show what functions send, live, on a page of this machine."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    raise NotImplementedError
