"""Children that are forked while a thread of ours imports something."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

from zespan_serverless import _imports

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")

HANDLER = """
import os, sys, threading, time
from zespan_serverless import zespan_lambda

class Slow:
    importing = threading.Event()

    def find_spec(self, name, *_):
        if name == "ssl":
            self.importing.set()
            time.sleep(0.2)

@zespan_lambda(api_key="k", base_url="https://127.0.0.1:9", flush_timeout=0.5)
def handler(event, context):
    assert Slow.importing.wait(5)
    child = os.fork()
    if not child:
        import ssl
        os._exit(0)
    return os.waitpid(child, 0)[1]

sys.meta_path.insert(0, Slow())
os._exit(handler({}, None))
"""


def fork() -> int:
    """A child that begins an import of ours, and ends."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()
    if not child:
        with _imports.importing():
            os._exit(0)
    return child


def test_a_fork_waits_for_imports() -> None:
    """It happens when nobody imports any more, and parent and child can go on with both."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        with _imports.importing():
            begun.set()
            time.sleep(0.2)
            over.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    child = fork()
    assert over.is_set()
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert os.waitpid(fork(), 0)[1] == 0


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that hangs delays it, and is not in the child's way."""
    monkeypatch.setattr(_imports, "_PATIENCE", 0.05)
    with _imports.importing():
        assert os.waitpid(fork(), 0)[1] == 0
    assert os.waitpid(fork(), 0)[1] == 0


def test_a_fork_within_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on in the child has left what he was in."""
    monkeypatch.setattr(_imports, "_PATIENCE", 0.05)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        with _imports.importing():
            child = os.fork()
        if not child:
            os._exit(_imports._importing != 0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_handler_that_forks_while_the_sender_imports() -> None:
    """Its child can import the same."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", HANDLER], check=True, timeout=10)
