"""What is lost with a process that SIGTERM ends is reported before, however slow the machine or the listener is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to speak of")

PRELUDE = """
import json, os, threading, time
from zespan_serverless import _worker, capture, init, run
"""


def terminated(script: str, **env: str) -> str:
    """Run a script until it says that it is ready, send it SIGTERM, and return what it says after that."""
    more = {"ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": "http://127.0.0.1:9", "ZESPAN_ENABLED": "1", **env}
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, env={**os.environ, **more}, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.kill)  # before it is waited for
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
        return said


def test_on_error_may_take_half_a_second() -> None:
    """On an overloaded machine `on_error` may take that long, and it is not cut off."""
    said = terminated("""
        def on_error(drop):
            time.sleep(0.5)
            print(drop.events, drop.reason, flush=True)

        init(on_error=on_error, journal="off")
        capture({"operation": "lost"})
        print("ready", flush=True)
        time.sleep(30)
    """)
    assert said == "1 closed\n"


@pytest.mark.parametrize("journal", ["off", "/dev/null/nowhere"])
def test_signal_while_the_process_reports_its_losses(journal: str) -> None:
    """SIGTERM that comes while the end of a worker's process runs `on_error` does not cut it off."""
    said = terminated(
        """
        def on_error(drop):
            print("ready", flush=True)
            time.sleep(0.7)  # the flush on SIGTERM has 0.25 s
            print(drop.events, drop.reason, flush=True)

        init(on_error=on_error)
        capture({"operation": "lost"})
        _worker.finish()
        os._exit(0)
        """,
        ZESPAN_JOURNAL=journal,
        ZESPAN_FLUSH_TIMEOUT="0.1",
    )
    assert said == "1 closed\n"


def test_what_begins_after_the_signal() -> None:
    """What is captured while the process reports its losses is reported as well, and so is a run that begins then."""
    said = terminated("""
        losing, begun = threading.Event(), threading.Event()

        def on_error(drop):
            losing.set()
            begun.wait(1.5)
            print(*(json.loads(payload)["operation"] for payload in drop.payloads), flush=True)

        init(on_error=on_error, journal="off")
        capture({"operation": "lost"})
        print("ready", flush=True)
        losing.wait(20)
        capture({"operation": "later"})
        with run("late"):
            begun.set()
            time.sleep(30)
    """)
    assert said == "lost\nlater\nlate\n"
