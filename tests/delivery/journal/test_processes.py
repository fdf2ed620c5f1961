"""What a process leaves that is killed at any moment, and what becomes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.delivery.journal.support import CAPTURE, ROOT, arrives, done, heir, left, looked, posix_only, python
from zespan_serverless.testing import Backend

pytestmark = posix_only


@pytest.mark.parametrize("how", ["SIGKILL", "abort"])
def test_events_of_a_killed_process_arrive_once(
    folder: Path, backend: Backend, environment: dict[str, str], how: str
) -> None:
    """What a process had captured arrives with the next one, once."""
    process = python(CAPTURE, folder, 1, 2, 3, **environment)
    assert process.stdout is not None
    assert process.stdout.readline()
    if how == "SIGKILL":
        process.kill()
    process.communicate("now" if how == "abort" else None)
    assert backend.events == []
    heir(folder, environment, 4)
    arrives(folder, environment, backend, "1", "2", "3", "4")
    assert len(backend.events) == 4
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_file_of_a_live_process_is_not_touched(folder: Path, backend: Backend, environment: dict[str, str]) -> None:
    """The file of a living process, frozen or not, is left alone; when it is dead its events are sent."""
    running, frozen, dead = (python(CAPTURE, folder, name, **environment) for name in ("running", "frozen", "dead"))
    for process in (running, frozen, dead):
        assert process.stdout is not None
        assert process.stdout.readline()
    looked(backend, 3)
    frozen.send_signal(signal.SIGSTOP)
    dead.kill()
    dead.communicate()
    heir(folder, environment, "heir")
    arrives(folder, environment, backend, "dead", "heir")
    assert len(list(folder.iterdir())) == 2
    for process in (running, frozen):
        process.kill()
        process.communicate()
    arrives(folder, environment, backend, "dead", "frozen", "heir", "running")


FORK = """
    import os, signal, sys, time
    from zespan_serverless import capture, init
    init(journal=sys.argv[1], flush_interval=3600.0)
    capture({"operation": "before"})
    child = os.fork()
    if not child:
        capture({"operation": "child"})
        os.write(1, b"child\\n")
        time.sleep(60)
    os.write(1, b"parent\\n")
    sys.stdin.readline()
    capture({"operation": "after"})
    if sys.argv[2] == "child first":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.write(1, b"buried\\n")
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, f"{child}\\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_end_of_a_forked_child_keeps_the_parents_file(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """A forked child has a file of its own; its end neither unlocks its parent's nor takes anything from it."""
    process = python(FORK, folder, "child first", **environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"child\n", "parent\n"}
    looked(backend, 2)
    assert len(list(folder.iterdir())) == 2
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "buried\n"
    arrives(folder, environment, backend, "child")
    process.communicate("go\n")
    arrives(folder, environment, backend, "after", "before", "child")
    assert len(backend.events) == 3


def test_parents_file_is_taken_over_while_its_child_lives(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """The parent's events are taken over while its child lives, which does not keep them locked."""
    process = python(FORK, folder, "parent first", **environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"child\n", "parent\n"}
    looked(backend, 2)
    process.stdin.write("go\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    process.wait(10)
    arrives(folder, environment, backend, "after", "before")
    os.kill(child, signal.SIGKILL)
    process.communicate()  # ends with the child
    arrives(folder, environment, backend, "after", "before", "child")


def test_the_sender_imports_nothing_for_the_recovery(folder: Path, environment: dict[str, str]) -> None:
    """A child that is forked in the midst of an import would wait for its end for ever."""
    code = """
        import os, sys, threading
        threading.Thread.start = lambda thread: None  # the sender never comes to it
        from zespan_serverless import init, zespan_lambda
        from zespan_serverless._process import current
        init(journal=sys.argv[1])
        if sys.argv[2] == "leave":
            zespan_lambda(lambda event, context: os._exit(0))({}, None)
        before = {*sys.modules}
        current().delivery._recover_journals()
        assert current().delivery.captured == 1
        assert {*sys.modules} == before
    """
    assert done(python(code, folder, "leave", **environment)) == 0
    assert done(python(code, folder, "take", **environment)) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # it starts some 80 processes
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whatever a process was doing to its file when it was killed, no event that it had captured is lost, and a span
    that had begun and not ended is known."""
    step = 0
    while True:
        step += 1
        place = tmp_path / str(step)
        place.mkdir()
        folder, ids, sink = place / "journals", place / "ids", place / "sink"
        command = [sys.executable, "-m", "tests.delivery.dying", *map(str, (folder, ids, sink, step))]
        dead = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        if dead.returncode == 0:
            break
        assert dead.returncode == -signal.SIGKILL, dead.stderr
        captured = set(ids.read_text().split()) if ids.exists() else set()
        delivered = set(sink.read_text().split()) if sink.exists() else set()
        read = left(folder)
        kept = {str(json.loads(event)["n"]) for one in read for event in one.events}
        assert captured <= delivered | kept, step
        assert sum(len(one.open) for one in read) <= 1
        assert not any(one.broken for one in read)
        if "0" in captured and "28" not in captured | kept and len(captured) > 1:
            assert [len(one.open) for one in read] == [1], step
    assert step > 60
