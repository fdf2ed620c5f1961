"""`zespan-serverless doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("text", "json", "sarif", "github")
LEVELS = ("error", "warning", "info")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Find misconfiguration before it is deployed."""
    parser.description = (
        "Read code, templates and the environment, and report what would keep telemetry from working. Exit codes: 0 no "
        "finding, 1 findings of the level --fail-on or above, 2 a wrong argument, 3 nothing to check."
    )
    parser.add_argument("path", nargs="?", type=Path, default=Path(), metavar="PATH", help="default: this folder")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("--fail-on", choices=LEVELS, default="error", help="the lowest level that fails (%(default)s)")
    parser.add_argument(
        "--select", action="append", default=[], metavar="ID", help="apply only these rules, such as ZS0"
    )
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="skip these rules")
    parser.add_argument("--fix", action="store_true", help="make the changes that findings suggest; comments are kept")
    parser.add_argument("--diff", action="store_true", help="print what --fix would change, instead of a report")
    parser.add_argument("--list-rules", action="store_true", help="print all rules")
    parser.add_argument("--explain", metavar="ID", help="explain a rule")
    parser.add_argument(
        "--live", action="store_true", help="send one event as the environment says, instead of reading files"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..doctor import live, run

    if arguments.list_rules:
        return run.list_rules()
    if arguments.explain:
        return run.explain(arguments.explain)
    if arguments.live and arguments.format not in ("text", "json"):
        return run.refuse("--live has the formats text and json")
    if arguments.live:
        return live.check(arguments.format)
    return run.check(arguments)
