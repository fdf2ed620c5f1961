"""What docs/limits.md says of other code in the process, and its ways out."""

from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

import zespan_serverless
from zespan_serverless import testing, zespan_lambda
from zespan_serverless.testing import Backend

PAGE = (Path(__file__).parents[1] / "docs/limits.md").read_text()

HANGS_UP = """\
import os, signal, sys
from zespan_serverless import capture, init

init(base_url=sys.argv[1])
{way_out}
capture({{}})
os.kill(os.getpid(), signal.SIGHUP)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this platform")
@pytest.mark.parametrize(("way_out", "code", "sent"), [("", -1, 0), ("PAGE", 129, 1)])
def test_closed_terminal_loses_what_is_in_memory(way_out: str, code: int, sent: int) -> None:
    """SIGHUP ends the process with what is in memory, but for the handler that the page shows."""
    handler = "signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))"
    assert handler in PAGE
    with Backend() as backend:
        script = HANGS_UP.format(way_out=handler if way_out else "")
        assert subprocess.run([sys.executable, "-c", script, backend.url], timeout=30).returncode == code
        assert len(backend.events) == sent


def test_an_exception_has_two_frames_of_the_package() -> None:
    """They are the first two below the caller, and the user's own follow."""

    @zespan_lambda
    def handler(event: Any, context: Any) -> None:
        raise ValueError

    with testing.recording(), pytest.raises(ValueError) as caught:  # noqa: PT011 (any will do)
        handler({}, testing.LambdaContext())
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)][1:]
    ours = str(Path(zespan_serverless.__file__).parent)
    assert [file.startswith(ours) for file in files] == [True, True, False]


CONFIGURES = """\
import logging.config, sys
from zespan_serverless import capture, init, shutdown

init(base_url=sys.argv[1], api_key="old", on_error=lambda dropped: print("told"))
logging.config.dictConfig({"version": 1, "disable_existing_loggers": sys.argv[2] == "True"})
capture({})
shutdown()
"""


@pytest.mark.parametrize("disable", [True, False])
def test_on_error_is_called_although_the_logger_is_off(disable: bool) -> None:
    """Nothing is logged then, on_error is called all the same; the page's argument leaves the logger as it is."""
    assert '"disable_existing_loggers": False' in PAGE
    with Backend() as backend:
        backend.mode = 401
        command = [sys.executable, "-c", CONFIGURES, backend.url, str(disable)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "told" in done.stdout
    assert ("telemetry events are being dropped" in done.stderr) is not disable
