"""`zespan-serverless tail`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Print what arrives at a running `dev`."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    raise NotImplementedError
