"""Journals of dead processes, and processes that leave them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.support import eventually, sender_of, without_journal
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._delivery.journal_format import Leftovers
from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[3]
MIB = 1_048_576
SPAN = "0123456789abcdef"

posix_only = pytest.mark.skipif(os.name != "posix", reason="there is no journal elsewhere")
root_only = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can do that")

Begin = Callable[..., Delivery]


def journal(folder: Path, destination: str = "there", key: str = "zsp_key", cap: int = MIB) -> Journal:
    return Journal(str(folder), destination, key, cap)


class Looking(Delivery):
    """One that tells which senders of its have looked for what others have left."""

    def __init__(self, *args: Any) -> None:
        self.have_looked: set[threading.Thread] = set()
        super().__init__(*args)

    def _recover_journals(self) -> None:
        super()._recover_journals()
        self.have_looked.add(threading.current_thread())


def die(delivery: Delivery) -> None:
    """As if its process had been killed: its file is unlocked, so that its own sender could take it over."""
    if isinstance(delivery, Looking) and (sender := sender_of(delivery).thread) is not None:
        eventually(lambda: sender in delivery.have_looked)
    without_journal(delivery).release()


def leave(folder: Path, *events: bytes, key: str = "zsp_key", destination: str = "there") -> Path:
    """Return the file of a dead process with these events."""
    before = set(folder.glob("*.journal"))
    dead = journal(folder, destination, key)
    for data in events:
        dead.append_event(data)
    dead.release()
    (file,) = set(folder.glob("*.journal")) - before
    return file


def left(folder: Path) -> list[Leftovers]:
    return list(journal(folder).recover())


def found(folder: Path) -> list[bytes]:
    return [event for one in left(folder) for event in one.events]


def aged(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


def python(code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    """A process that runs `code`, and can be told things through its stdin."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdin=pipe, stdout=pipe, text=True)


def done(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=30)
    return process.returncode


CAPTURE = """
    import os, sys
    from zespan_serverless import capture, init
    init(journal=sys.argv[1], flush_interval=3600.0)
    for number in sys.argv[2:]:
        capture({"operation": number})
    print("captured", flush=True)
    if sys.stdin.readline():
        os.abort()
"""
"""Captures, and is then killed, or aborts when it is told anything."""


def looked(backend: Backend, processes: int) -> None:
    """Wait until so many processes have looked for what others have left, which they do before they connect: a later
    one takes over the files of those that have been killed by then."""
    eventually(lambda: backend.connections >= processes, 20)


def operations(backend: Backend) -> list[str]:
    """Return what has arrived, without repetitions."""
    return sorted({event["event_id"]: event["operation"] for event in backend.events}.values())


def heir(folder: Path, environment: dict[str, str], *numbers: object) -> None:
    """A process that captures these, and takes over what others have left, to its end."""
    code = """
        import sys, time
        from zespan_serverless import capture, flush, init
        from zespan_serverless._process import container as _container
        init(journal=sys.argv[1])
        _container.current().delivery.ensure_sender()
        for number in sys.argv[2:]:
            capture({"operation": number})
        time.sleep(0.2)
        assert not flush(20).pending
    """
    assert done(python(code, folder, *numbers, **environment)) == 0


def arrives(folder: Path, environment: dict[str, str], backend: Backend, *expected: str) -> None:
    """With the next process, or the one after that: no flush waits for its search."""
    for _ in range(5):
        heir(folder, environment)
        if operations(backend) == [*expected]:
            return
    assert operations(backend) == [*expected]
