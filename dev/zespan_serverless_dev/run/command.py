"""`zespan-serverless run`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from zespan_serverless.errors import ConfigurationError

from ..address import Address, find
from ..probe import Facts
from ..server import DevServer
from ..store.bounds import Bounds
from .account import Account
from .child import CannotRun, run
from .watch import Watch

_BOUNDS = Bounds(events=20_000, bytes=1 << 26)  # in memory
_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def run_command(arguments: argparse.Namespace) -> int:
    """Run the program, print the account, and return the program's exit code."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ConfigurationError("say what to run, such as: zespan-serverless run -- python app.py")
    if arguments.last < 0:
        raise ConfigurationError(f"--last must be 0 or more, not {arguments.last}")
    if sys.stderr is None:  # it is closed
        sys.stderr = _nowhere()
    with _collector(arguments) as (dev, is_shown), _folder() as folder, _model(arguments) as model:
        facts = Facts(Path(folder) / "facts")
        since, watch = time.time() * 1000, Watch(facts, dev, command)
        try:
            code = run(command, environment(os.environ, dev.url, facts) | model)
        except CannotRun as error:
            print(f"zespan-serverless run: {error}", file=sys.stderr)
            return error.code
        finally:
            watch.end()
        try:
            _print(Account(command, code, watch, dev, since, arguments.last, is_shown=is_shown), arguments)
        except OSError as error:
            _complain(f"zespan-serverless run: no account of its telemetry: {error}")
    return code


def environment(inherited: Mapping[str, str], url: str, facts: Facts) -> dict[str, str]:
    """Return the variables of the program: its telemetry is on, and goes to this machine."""
    ours = {"ZESPAN_BASE_URL": url, "ZESPAN_API_KEY": "zsp_local", "ZESPAN_ENABLED": "1", "ZESPAN_EXPORTER": "zespan"}
    no_proxy = {}
    if any(inherited.get(name) for name in _PROXIES):  # else the variable itself could hide the proxies of the system
        given = inherited.get("no_proxy") or inherited.get("NO_PROXY") or ""
        no_proxy = dict.fromkeys(("NO_PROXY", "no_proxy"), given if given == "*" else f"{given},127.0.0.1".strip(","))
    return {**inherited, **no_proxy, **ours, **facts.environment(inherited.get("PYTHONPATH", ""))}


def _folder() -> TemporaryDirectory[str]:
    """Return the folder of the facts. What the program has left running may still write there when it is removed."""
    return TemporaryDirectory(prefix="zespan-serverless-run-", ignore_cleanup_errors=True)


@contextmanager
def _collector(arguments: argparse.Namespace) -> Iterator[tuple[Address, bool]]:
    """Return the requested or running `dev`, or a built-in one; and whether it has a page that stays."""
    found = None if arguments.alone else find(arguments.dev)
    if found is not None:
        yield found, True
    elif arguments.dev is not None:
        raise ConfigurationError(
            f"no `dev` answers at {arguments.dev}: start zespan-serverless dev, or leave out --dev"
        )
    else:
        with DevServer(bounds=_BOUNDS) as server:
            yield Address(server.url, server.token), False


@contextmanager
def _model(arguments: argparse.Namespace) -> Iterator[dict[str, str]]:
    """Return the variables that direct OpenAI calls to a stand-in on this machine, if that is requested."""
    if not arguments.model:
        yield {}
        return
    from ..emulator.model import MODEL_VARIABLES, ModelEndpoint

    with ModelEndpoint() as model:
        yield dict(zip(MODEL_VARIABLES, (model.url, "none"), strict=True))


def _complain(text: str) -> None:
    """Say it on standard error. If nothing can be written there, the exit code is the program's all the same."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = _nowhere()  # what could not be written would make Python's own exit code 120


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def _print(account: Account, arguments: argparse.Namespace) -> None:
    if arguments.output is None:
        sys.stderr.write(account.text(arguments.format, sys.stderr))
        return
    with arguments.output.open("w") as file:
        file.write(account.text(arguments.format, file))
