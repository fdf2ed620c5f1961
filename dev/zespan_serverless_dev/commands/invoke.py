"""`zespan-serverless invoke`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

USAGE_ERROR = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Invoke a Lambda function on AWS's emulator."""
    parser.description = "Invoke a Lambda function on AWS's emulator, and account for each of its events."
    parser.epilog = (
        "Exit codes: 0, each event is delivered, waiting or dropped; 1, an event is lost; "
        "2, the command is wrong; 3, no event is lost, but a call has failed."
    )
    parser.add_argument("handler", nargs="?", help="the handler, such as app.handler")
    parser.add_argument("event", nargs="?", help="the event: a file of JSON, JSON itself, or - (default: {})")
    parser.add_argument("--code", type=Path, metavar="FOLDER", help="the function's folder (default: this one)")
    parser.add_argument(
        "--event",
        dest="sample",
        metavar="NAME",
        help="wrap the event in a complete one as AWS sends it: apigw-v2, apigw-v1, function-url, alb "
        "('apigw-v2 POST /ask'), sqs, sns, s3, schedule, eventbridge, dynamodb, kinesis",
    )
    parser.add_argument("-n", dest="calls", default="1", metavar="N", help="make N calls (default: 1)")
    parser.add_argument(
        "--idle", default="0.2s", metavar="TIME", help="freeze the sandbox so long between two calls (default: 0.2s)"
    )
    parser.add_argument("--timeout", metavar="SECONDS", help="the function's timeout (default: 30)")
    parser.add_argument(
        "--memory", metavar="MB", help="the function's memory, which also decides its share of CPU (default: 512)"
    )
    parser.add_argument(
        "--env", action="append", default=[], metavar="K=V", help="an environment variable; may be repeated"
    )
    parser.add_argument("--fault", choices=("hang", "429", "500", "refuse", "drip"), help="how the backend fails")
    _signal(parser, "--kill", "SIGKILL")
    _signal(parser, "--sigterm", "SIGTERM")
    parser.add_argument("--model", action="store_true", help="have a stand-in for OpenAI answer, which needs no key")
    parser.add_argument("--template", type=Path, metavar="FILE", help="a SAM or CloudFormation template")
    parser.add_argument("--function", metavar="NAME", help="which of the template's functions")
    parser.add_argument("--dev", nargs="?", const="", metavar="URL", help="show it all on the page of a running `dev`")
    parser.add_argument(
        "--stay", action="store_true", help="with --dev: keep the sandbox, and obey the page's controls"
    )
    parser.add_argument("--docker", action="store_true", help="run in AWS's image in Docker, as always on macOS")
    parser.add_argument("--watch", action="store_true", help="run again when a file of the function changes")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the drawing")
    parser.set_defaults(run=_run)
    _allow_options_in_between(parser)


def _allow_options_in_between(parser: argparse.ArgumentParser) -> None:
    """Allow options between handler and event, which argparse refuses before Python 3.12."""
    plain = parser.parse_known_args

    def parse(*args: Any, **kwargs: Any) -> Any:
        parser.__dict__["parse_known_args"] = plain  # what is called in turn
        try:
            return parser.parse_known_intermixed_args(*args, **kwargs)
        finally:
            parser.__dict__["parse_known_args"] = parse

    parser.__dict__["parse_known_args"] = parse


def _signal(parser: argparse.ArgumentParser, option: str, name: str) -> None:
    text = f"send {name} to the function's process, so long after the start of the first call, or else at the end"
    parser.add_argument(option, nargs="?", const="", metavar="after=TIME", help=text)


def _run(chosen: argparse.Namespace) -> int:
    from ..invoke.plan import Unusable
    from ..invoke.running import run

    try:
        return run(chosen)
    except (Unusable, RuntimeError) as error:
        print(f"zespan-serverless invoke: {error}", file=sys.stderr)
        return USAGE_ERROR
