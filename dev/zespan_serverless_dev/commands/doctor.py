"""`zespan-serverless doctor`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Find misconfiguration before it is deployed."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    raise NotImplementedError
