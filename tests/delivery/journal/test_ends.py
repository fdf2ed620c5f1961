"""What an end of a process leaves in its journal."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import CAPTURE, Begin, arrives, die, done, found, posix_only, python
from tests.delivery.support import RETRY, Scripted, capture
from zespan_serverless import capture as capture_event
from zespan_serverless import init, testing
from zespan_serverless.testing import Backend

pytestmark = posix_only


def test_close_leaves_no_journal(begin: Begin, folder: Path) -> None:
    """What a shutdown could not send is counted as dropped, and not recovered later."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1)
    delivery.close(0.05)
    assert delivery.dropped == {"closed": 1}
    assert list(folder.iterdir()) == []


def test_reset_leaves_no_journal(folder: Path, backend: Backend) -> None:
    """Between tests nothing stays."""
    backend.mode = "hang"
    init(base_url=backend.url, journal=str(folder))
    capture_event({})
    assert len(list(folder.iterdir())) == 1
    testing.reset()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", ["ok", "hang"])
def test_exit_leaves_only_unsent_events(folder: Path, backend: Backend, environment: dict[str, str], mode: Any) -> None:
    """A process that ends of itself leaves nothing if all was sent, else its events."""
    backend.mode = mode
    code = """
        import sys
        from zespan_serverless import capture, init
        init(journal=sys.argv[1], flush_timeout=0.3)
        capture({"operation": "1"})
    """
    assert done(python(code, folder, **environment)) == 0
    assert len(list(folder.iterdir())) == (mode == "hang")
    backend.mode = "ok"
    arrives(folder, environment, backend, "1")


def test_sigterm_leaves_unsent_events_in_the_journal(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """What cannot be sent in the time that is left after SIGTERM is for the next process."""
    backend.mode = "hang"
    process = python(CAPTURE, folder, 1, 2, **environment)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    backend.mode = "ok"
    arrives(folder, environment, backend, "1", "2")


def test_exit_without_a_journal_reports_drops(folder: Path, environment: dict[str, str]) -> None:
    """Where the journal could not be written, what a process cannot send at its end is said to be dropped."""
    folder.touch()
    code = """
        import sys
        from zespan_serverless import capture, init
        init(journal=sys.argv[1], flush_timeout=0.1, on_error=lambda dropped: print(dropped.reason, dropped.events))
        capture({"operation": "1"})
    """
    closed = {**environment, "ZESPAN_BASE_URL": "http://127.0.0.1:9"}
    assert python(code, folder, **closed).communicate(timeout=30)[0] == "closed 1\n"


def test_journal_is_empty_at_a_snapshot_and_used_after_it(begin: Begin, folder: Path) -> None:
    """Nothing is on disk at the snapshot; events after the restore are."""
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 1)
    delivery.pause(5.0)
    (file,) = folder.iterdir()
    assert file.stat().st_size < 100
    delivery.resume()
    capture(delivery, 2)
    die(delivery)
    assert found(folder) == [b'{"n":2}']


def test_exit_with_events_in_the_journal_is_logged(
    begin: Begin, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are for the next process, if the disk outlives this one."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1, 2, 3)
    delivery.close_at_exit(0)
    assert "3 telemetry events stay in the journal; only another process in this sandbox can send them" in caplog.text
    assert len(list(folder.iterdir())) == 1


def test_a_journal_that_has_failed_is_tried_once_more_at_the_exit(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has failed moments before may work again: then nothing is dropped, and the next process has everything."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1)

    def failing(*args: object) -> int:
        monkeypatch.undo()
        raise OSError("made up")

    monkeypatch.setattr(os, "pwrite", failing)
    capture(delivery, 2, 3)
    delivery.close_at_exit(0)
    assert sum(delivery.dropped.values()) == 0
    (file,) = folder.iterdir()
    assert all(b'{"n":%d}' % number in file.read_bytes() for number in (1, 2, 3))
