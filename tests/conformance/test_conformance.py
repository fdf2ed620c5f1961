"""With us as without us, in every room and every situation; and no event is lost without a word.

A new decorator or middleware joins by its line in `rooms.ROOMS`: a function that decorates a piece of work as a user
would, and gives what serves one invocation as the platform does. It is then put through every situation. A new
situation joins by a function in `situations`, a program that says what a user could see, and is put to every room.

Each test runs the same program with the package and with a stand-in whose decorators do nothing (`bare`). What they
print, how they end and what they write to stderr has to be the same, but for our own lines in the log. Without the
package, rooms of one kind hardly differ: a room runs bare only if it is not like the first of its kind. Every
event of the program's ledger, and every root event, has to arrive at a backend or, from a process with a journal, at
the next one; what does not has to be said in the log. All run with `-W error`.

By hand: python -W error -m tests.conformance ROOM SITUATION [--bare] [--early]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.rooms import ROOMS, VARIANTS, Room
from tests.conformance.situations import SITUATIONS
from tests.support import ROOT
from zespan_serverless.testing import Backend

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, descriptors and forks as on Linux"),
]

SECONDS = 20.0
"""Timeout of one program, far longer than any takes."""

BOTH = ("lambda", "lambda async", "asgi", "wsgi", "run", "by hand")
"""Rooms that represent the others: sync and async, one invocation at a time and several, flushes at the end of each and
in the background. They run with the package first and later. A situation for few rooms runs with every second of them.
"""


class Case(NamedTuple):
    situation: str
    room: str
    early: bool = False
    journal: bool = False

    def __str__(self) -> str:
        how = (", us first" if self.early else "") + (", journal" if self.journal else "")
        return f"{SITUATIONS[self.situation].group}: {self.situation}, {self.room}{how}"


def cases() -> Iterator[Case]:
    """Every room in every situation, alternating between the package first and later, with and without a journal."""
    for n, (name, situation) in enumerate(SITUATIONS.items()):
        for m, (room, kind) in enumerate(ROOMS.items()):
            few = situation.few and (room not in BOTH or (n + BOTH.index(room)) % 2)
            if few or not situation.fits(kind):
                continue
            journal = situation.group == "descriptors" or (n + m) % 3 == 0
            if not situation.twice:
                yield Case(name, room, False, journal)
            elif room in BOTH:
                yield Case(name, room, False, journal)
                yield Case(name, room, True, not journal)
            else:
                yield Case(name, room, (n + m) % 2 == 0, journal)
    for room in VARIANTS:
        yield from (Case(name, room) for name in ("handler_that_returns_raises_and_exits", "sigterm_in_an_invocation"))


class Ended(NamedTuple):
    """The visible behaviour of a process. Only the last line of a traceback counts, because its frames may be ours."""

    code: int | None
    said: list[str]
    errors: list[str]

    def __str__(self) -> str:
        how = "hangs" if self.code is None else f"ends with {self.code}"
        return "\n".join([*self.said, how, *self.errors])


class Program:
    """The process of a case. `bare`: without the package."""

    def __init__(self, case: Case, folder: Path, url: str, *, bare: bool) -> None:
        self.name = uuid.uuid4().hex
        self._folder = folder / ("bare" if bare else "traced")
        self._folder.mkdir()
        self.ours: list[str] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CONFORMANCE_CASE": self.name,
            "CONFORMANCE_FOLDER": str(self._folder),
            "ZESPAN_BASE_URL": url,
            "ZESPAN_TAGS": f"case={self.name}",
            "ZESPAN_JOURNAL": str(self._folder / "journal") if case.journal else "off",
        }
        options = ["--bare"] * bare + ["--early"] * case.early
        command = [sys.executable, "-W", "error", "-m", "tests.conformance", case.room, case.situation, *options]
        self._process = self._start(command)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> Ended:
        """Wait for the end of the process."""
        code: int | None = None
        try:
            out, err = self._process.communicate(timeout=SECONDS)
            code = self._process.returncode
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
        lines = [re.sub(r"0x[0-9a-f]+", "0x", line) for line in err.splitlines() if line[:1].strip()]
        self.ours = [line for line in lines if line.startswith("zespan_serverless ")]
        return Ended(code, out.splitlines(), [line for line in lines if line not in self.ours])

    def due(self) -> tuple[set[str], int]:
        """Return what the backend must receive: the ids of the program's events, and the number of root events."""
        lines = [line.split() for line in (self._folder / "ledger").read_text().splitlines()]
        return {line[1] for line in lines if line[0] == "event"}, sum(line[0] == "root" for line in lines)

    def go_on(self) -> None:
        """The next process, which takes over what this one has left in its journal when it has something to send."""
        program = "import zespan_serverless as z; z.init(); z.capture({'operation': 'next'}); z.flush()"
        self._start([sys.executable, "-c", program]).communicate()


BARE: dict[tuple[object, ...], Ended] = {}
"""How a program ended without the package: of a situation in the first room of its kind."""


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_program_behaves_as_it_does_without_the_package(case: Case, backend: Backend, tmp_path: Path) -> None:
    """The program says, ends and warns as it does without us, and its events arrive, or are said to be lost."""
    missing = [name for name in SITUATIONS[case.situation].needs if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: make test")
    traced = Program(case, tmp_path, backend.url, bare=False)
    kind = (case.situation, case.early, *{**ROOMS, **VARIANTS}[case.room][1:])
    expected = BARE.get(kind) or Program(case, tmp_path, backend.url, bare=True).end()
    seen = traced.end()
    if seen != expected and kind in BARE:
        expected = Program(case, tmp_path, backend.url, bare=True).end()
    BARE.setdefault(kind, expected)
    assert expected.code is not None, f"the situation itself hangs: {expected}"
    assert seen == expected, f"with us:\n\n{seen}\n\nwithout us:\n\n{expected}\n"
    if lost(traced, backend) and case.journal:
        traced.go_on()
    if left := lost(traced, backend):
        assert any("dropped" in line for line in traced.ours), f"lost without a word: {left}"


def lost(program: Program, backend: Backend) -> list[str]:
    """Return what has not arrived of what is due. The process has ended: what has not been read by now is not there."""
    arrived = [event for event in backend.events if (event.get("tags") or {}).get("case") == program.name]
    events, roots = program.due()
    there = sum(is_root(event) for event in arrived)
    return sorted(events - {event["operation"] for event in arrived}) + ["root"] * (roots - there)


def is_root(event: dict[str, Any]) -> bool:
    return "start_kind" in (event.get("metadata") or {})


def test_every_room_is_put_through_every_group() -> None:
    """Rooms and situations that are added cannot be left out by mistake."""
    groups = {situation.group for situation in SITUATIONS.values()}
    for name, room in ROOMS.items():
        assert isinstance(room, Room)
        assert {SITUATIONS[case.situation].group for case in cases() if case.room == name} == groups, name
