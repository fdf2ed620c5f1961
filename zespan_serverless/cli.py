"""The command `zespan-serverless`, or `python -m zespan_serverless`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from . import _layer, _replay
from ._version import __version__
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The commands of the distribution zespan-serverless-dev.
TOOLS = {
    "dev": "show what functions send, live, on a page of this machine",
    "invoke": "invoke a Lambda function on AWS's emulator",
    "run": "run a program whose telemetry goes to this machine",
    "tail": "print what arrives at a running `dev`",
    "doctor": "find misconfiguration before it is deployed",
    "init": "show, or write, the few lines that trace a project",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these `arguments` (default: sys.argv), and return its exit code.

    zespan-serverless layer build [--output PATH] [--python COMMAND ...]    build the Lambda layer
    zespan-serverless replay URL [--to BASE_URL] [--dry-run] [...]          send events that a store has kept

    The commands dev, invoke, run, tail, doctor and init come from the distribution zespan-serverless-dev.
    """
    parser = argparse.ArgumentParser(prog="zespan-serverless", description="Telemetry that survives serverless.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    layer = commands.add_parser("layer", help="the AWS Lambda layer").add_subparsers(required=True, metavar="ACTION")
    build = layer.add_parser("build", help="write the layer's zip, for every Python version and architecture")
    build.add_argument("--output", type=Path, default=Path("zespan-serverless-layer.zip"), help="default: %(default)s")
    build.add_argument(
        "--python",
        action="append",
        metavar="COMMAND",
        help="include the bytecode for this Python, such as python3.13, so that its cold starts need not compile the "
        "package; may be given several times",
    )
    build.set_defaults(run=_build_layer)
    _replay.add_arguments(commands.add_parser("replay", help="send events that the fallback has kept"))
    words = sys.argv[1:] if arguments is None else arguments
    _add_tools(commands, words)
    chosen = parser.parse_args(words)
    try:
        code: int = chosen.run(chosen)
    except BrokenPipeError:  # the reader of the output has closed it, like `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes the rest to it
        return 1
    except (ConfigurationError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    return code


def _add_tools(commands: argparse._SubParsersAction[argparse.ArgumentParser], words: Sequence[str]) -> None:
    """Add the commands for developers: those of zespan-serverless-dev, or a message that says how to install it.

    Only the requested one is imported, so that a broken installation affects no other command.
    """
    found = {entry.name: entry for entry in entry_points(group="zespan_serverless.commands")}
    for name, purpose in TOOLS.items():
        if name in found:
            tool = commands.add_parser(name, help=purpose)
            if name in words:
                found[name].load()(tool)
        else:
            missing = commands.add_parser(name, help=purpose, prefix_chars="\0", add_help=False)
            missing.add_argument("ignored", nargs="*")
            missing.set_defaults(run=_say_what_is_missing)


def _say_what_is_missing(_: argparse.Namespace) -> int:
    raise ConfigurationError("this command comes with: pip install ./dev in a checkout")  # until the first release


def _build_layer(arguments: argparse.Namespace) -> int:
    size = _layer.build(arguments.output, arguments.python or [])
    zip_file = shlex.quote(f"fileb://{arguments.output}")
    print(f"{arguments.output}: {size:,} bytes. The next step is to publish it, once in each region:\n")
    print(f"aws lambda publish-layer-version --layer-name zespan --zip-file {zip_file} \\")
    print(f"    --compatible-runtimes {' '.join(_layer.RUNTIMES)}")
    return 0
