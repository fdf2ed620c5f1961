"""The command itself: runs a plan, prints the result, and returns the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zespan_serverless.exporters._trees.style import writable

from .call import Call
from .drawing import drawn_call, drawn_end
from .plan import Plan, Unusable, plan_of
from .report import document
from .session import Result, Session

LOST, FAILED, INTERRUPTED = 1, 3, 130
"""Exit codes: an event is lost; none is lost, but the function has failed; Ctrl-C or SIGTERM before the end."""

WATCH = 0.5  # seconds between two checks of the files
_WATCHED = (".py", ".json", ".yaml", ".yml", ".toml", ".txt")
_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", ".aws-sam"}


def run(chosen: Namespace) -> int:
    """Run the command. Raises Unusable, EmulatorUnavailable."""
    plan = plan_of(chosen)
    with _ends_as_interrupts():
        if chosen.watch:
            _watch(chosen, plan)
            return 0
        try:
            return run_once(plan, as_json=chosen.json)
        except KeyboardInterrupt:
            return INTERRUPTED


@contextmanager
def _ends_as_interrupts() -> Iterator[None]:
    """Inside, SIGTERM and the end of the terminal end this command as Ctrl-C does: with the sandbox, which would
    outlive it.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_once(plan: Plan, *, as_json: bool) -> int:
    """Run a plan and show it. Returns the exit code."""
    if plan.stays and plan.dev is None:
        raise Unusable("--stay waits for the controls of the page: add --dev")
    progress = Progress()

    def show(call: Call, result: Result) -> None:
        if not as_json:
            _print(drawn_call(call, result))

    if not as_json:
        print(f"{plan.handler} of {plan.code}: {plan.memory} MB, timeout {plan.timeout} s{_fault(plan)}")
    result = Session(plan, show, progress.show).run()
    if as_json:
        json.dump(document(result), sys.stdout, indent=2)
        print()
    else:
        _print(drawn_end(result))
    return exit_code(result)


def exit_code(result: Result) -> int:
    """0, LOST or FAILED. A process that the command itself has ended has not failed."""
    if result.ledger.sums()["lost"] or result.broken:
        return LOST
    return FAILED if any(call.outcome not in ("ok", "killed") for call in result.calls) else 0


class Progress:
    """Progress on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Show this instead of what was shown before."""
        if self._is_shown:
            print(f"\r\033[K{text}{' ...' if text else ''}", end="", file=sys.stderr, flush=True)


def _watch(chosen: Namespace, plan: Plan) -> None:
    """Run again at every change of the function's files, until Ctrl-C."""
    try:
        while True:
            before = _state(plan)
            try:
                run_once(plan, as_json=chosen.json)
            except RuntimeError as error:  # the emulator
                print(error, file=sys.stderr)
            print("\nWaiting for a change. Ctrl-C ends.", file=sys.stderr)
            while _state(plan) == before:
                time.sleep(WATCH)
            plan = _again(chosen, plan)
    except KeyboardInterrupt:
        return


def _again(chosen: Namespace, plan: Plan) -> Plan:
    """Return the plan from the current files, or the old one if they are unusable."""
    try:
        return plan_of(chosen)
    except Unusable as error:
        print(error, file=sys.stderr)
        return plan


def _state(plan: Plan) -> dict[Path, float]:
    """Return when each file of the function was changed."""
    found: dict[Path, float] = {}
    for folder, folders, files in os.walk(plan.code):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for file in (Path(folder, name) for name in files if name.endswith(_WATCHED)):
            with suppress(OSError):
                found[file] = file.stat().st_mtime
    return found


def _fault(plan: Plan) -> str:
    return f"; the backend fails: {plan.fault}" if plan.fault else ""


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(writable(sys.stdout, line), flush=True)
