"""`zespan-serverless invoke`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Invoke a Lambda function on AWS's emulator."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    raise NotImplementedError
