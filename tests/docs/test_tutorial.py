"""docs/tutorial.md, followed block by block in an empty folder, as a newcomer does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.documentation import PAGES
from tests.support import until

pytestmark = pytest.mark.host(seconds=30)

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGES["tutorial"], re.DOTALL)
SERVER = "zespan-serverless dev\n"
DEFAULT_URL = "http://127.0.0.1:4880"
# Lines that are the same in every run; of all others only the words are.
EXACT = re.compile(r"Ledger: |\d+ events: |\{'|exit code ")
TIME = re.compile(r"[\d.]*m?s")


@contextmanager
def served(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """The page of the second terminal, on a free port; its address."""
    output = folder / "dev.out"
    with output.open("w") as file:
        command = ["zespan-serverless", "dev", "--port", "0"]
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        until(lambda: "/?token=" in output.read_text(), 30)
        yield re.findall(r"http://127\.0\.0\.1:\d+", output.read_text())[0]
    finally:
        server.terminate()
        server.wait(20)


def words(line: str) -> list[str]:
    """Return what of a printed line does not depend on times and ids."""
    if EXACT.match(line):
        return [line]
    found = [word for word in re.findall(r"[\w.-]*[a-zA-Z][\w.-]*", line) if not re.search(r"\d{3}|-.*-", word)]
    return [word for word in found if not TIME.fullmatch(word)]


def check(shown: str, printed: str) -> None:
    """Each line that the page shows has been printed, in this order."""
    lines = iter(words(line.partition(" · trace ")[0]) for line in printed.splitlines())
    for line in shown.splitlines():
        assert words(line) in lines, f"{line!r} is not in\n{printed}"


@pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux only")
def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    """Each command succeeds and prints what the page shows, but for times and ids. The environment is the tests'."""
    (_, installation), *steps = BLOCKS
    assert "pip install . ./dev openai pytest\n" in installation
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZESPAN_")}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}", "PYTHONWARNINGS": "ignore"}
    before = steps.index(("sh", SERVER))
    printed = follow(steps[:before], tmp_path, env, DEFAULT_URL)
    with served(tmp_path, env) as url:
        printed += follow(steps[before + 1 :], tmp_path, env, url)
        tail = ["zespan-serverless", "tail", "--no-follow", "--last", "9"]
        page = subprocess.run(tail, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert page.stdout.count("gpt-4o chat") == 4  # a run, two invocations, and the one that was parked
    assert printed > 10


def follow(steps: list[tuple[str, str]], folder: Path, env: dict[str, str], url: str) -> int:
    """Write the files, run the commands, compare what they print. The number of lines that were compared."""
    printed, compared = "", 0
    for language, text in steps:
        if language == "python":
            (folder / text.partition("\n")[0].removeprefix("# ")).write_text(text)
        elif language == "sh":
            command = ["sh", "-ec", text.replace(DEFAULT_URL, url)]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, (text, done.stdout, done.stderr)
            printed = done.stdout + done.stderr
        else:
            check(text, printed)
            compared += len(text.splitlines())
    return compared
