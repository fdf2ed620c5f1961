"""Warnings about settings: in the log, once, and harmless."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from tests.settings.support import ROOT, Warnings


def test_warnings_are_logged_and_never_issued() -> None:
    """People run with -W error: an odd environment must not become an exception there."""
    code = "import zespan_serverless; zespan_serverless.init(flush_timeout=-1); print('fine')"
    environ = {"ZESPAN_BATCH_SIZE": "many", "ZESPAN_BASE_URL": "nowhere", "ZESPAN_TAGS": "x"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n"
    assert done.stderr.count("ZESPAN_") == 3
    assert "Warning" not in done.stderr


def test_warning_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It survives an argument whose repr raises, and a log filter that raises."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    def angry(record: logging.LogRecord) -> bool:
        raise RuntimeError("no more logs")

    from zespan_serverless._base import log

    log.warn_once("x", "mute %r", Mute())
    log.logger.addFilter(angry)
    try:
        log.warn_once("x", "never arrives")
    finally:
        log.logger.removeFilter(angry)
    assert caplog.records == []


def test_number_of_warnings_is_bounded(warnings: Warnings) -> None:
    """Warnings that embed changing values fill neither the log nor the memory."""
    from zespan_serverless._base import log

    for n in range(1000):
        log.warn_once("x", "trouble %s", n)
    assert len(warnings()) < 300
