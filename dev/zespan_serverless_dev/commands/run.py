"""`zespan-serverless run`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Run a program whose telemetry goes to this machine."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    raise NotImplementedError
