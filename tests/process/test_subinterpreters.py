"""Several interpreters in one process, as mod_wsgi, uWSGI and pools of interpreters have them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zespan_serverless.testing import Backend

SCRIPT = """
import sys

INSIDE = '''
import threading
from zespan_serverless import flush, span, zespan_lambda

@zespan_lambda
def handler(event, context):
    return 1

handler({}, None)
with span("late"):
    pass
print([thread.name for thread in threading.enumerate()])
'''

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
legacy = sys.argv[1] == "legacy"
if sys.version_info >= (3, 13):
    one = interpreters.create("legacy" if legacy else "isolated")
    failed = interpreters.exec(one, INSIDE)
    if failed:
        sys.exit(failed.formatted)
else:
    one = interpreters.create(isolated=not legacy)
    interpreters.run_string(one, INSIDE)
interpreters.destroy(one)
print("went on")
"""


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_a_subinterpreter_has_no_threads_and_sends_before_it_ends(kind: str, is_away: bool) -> None:
    """Python ends the whole process if an interpreter is to end in which a daemon thread runs."""
    if kind == "isolated" and sys.version_info[:2] == (3, 12):
        pytest.skip("importing ssl in one corrupts the memory of Python 3.12.1 itself")
    with Backend() as backend:
        backend.mode = "refuse" if is_away else "ok"
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, kind],
            env={**os.environ, "ZESPAN_BASE_URL": backend.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (0, "['MainThread']\nwent on\n"), ended.stderr
        assert [event["operation"] for event in backend.events] == ([] if is_away else ["handler", "late"])
    assert ("dropped: closed" in ended.stderr) is is_away
