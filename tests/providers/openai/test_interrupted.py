"""A signal handler of the user's that raises, as timeouts by SIGALRM do, in the midst of our code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zespan_serverless

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

pytestmark = pytest.mark.host(seconds=60)

ROOT = str(Path(zespan_serverless.__file__).parents[1])

# Each call is interrupted once, one line of the package later than the last one, until a call succeeds.
SCRIPT = """
    import gc, json, signal, sys
    import openai
    from zespan_serverless import flush, testing

    kind, url = sys.argv[1:]
    room = "zespan_serverless/providers/"

    class Timeout(Exception):
        pass

    def on_alarm(number, frame):
        raise Timeout

    signal.signal(signal.SIGALRM, on_alarm)

    def interrupt_after(lines):
        left = lines
        def is_dying(frame):  # Python itself ignores what is raised there
            return frame is not None and (frame.f_code.co_name == "__del__" or is_dying(frame.f_back))
        def local(frame, event, argument):
            nonlocal left
            global place
            if event == "line" and not is_dying(frame) and not isinstance(sys.exception(), GeneratorExit):
                left -= 1
                if left == 0:
                    place = frame.f_code.co_name, frame.f_lineno
                    signal.raise_signal(signal.SIGALRM)
            return local
        sys.settrace(lambda frame, event, argument: local if room in frame.f_code.co_filename else None)
        return lambda: left <= 0

    def call(client):
        made = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], **request)
        if kind == "stream":
            list(made)

    request = {"stream": True} if kind == "stream" else {}
    lines, lost, sent, place = 0, [], [], None
    with testing.recording() as events, openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        client._client.event_hooks = {"request": [sent.append]}
        call(client)
        flush(5)
        events.clear()
        gc.collect()
        gc.freeze()  # else each collection below looks at all of openai
        while True:
            lines += 3 if kind == "stream" else 1  # a stream's chunks go through the same lines again and again
            sent.clear()
            struck = interrupt_after(lines)
            try:
                call(client)
                raised = None
            except Exception as error:
                raised = error
            finally:
                sys.settrace(None)
            if not struck():
                break
            chain = [raised, getattr(raised, "__cause__", None), getattr(raised, "__context__", None)]
            assert any(isinstance(one, Timeout) for one in chain), (lines, raised)
            del raised, chain  # and with them the stream, if the user has not got so far as to have it
            flush(5)
            if sent and not events:
                gc.collect()  # the stream may be in a cycle with the exception
                flush(5)
            if len(events) > 1 or (sent and not events):
                lost.append((place, len(events)))
            events.clear()
    assert lines > 50
    print(json.dumps(lost))
"""

# If the signal interrupts between two of the package's lines: the call has ended, and its end is not recorded yet.
BETWEEN = {"watched", "__exit__", "done", "end"}


@pytest.mark.parametrize("kind", ["call", "stream"])
def test_wherever_it_strikes(kind: str, model: ModelEndpoint) -> None:
    """Its exception is the user's, the call has no second event, and one if it has begun."""
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), kind, model.url]
    environ = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    lost = json.loads(done.stdout)
    assert all(function in BETWEEN and events == 0 for (function, _line), events in lost), lost
    assert len(lost) <= 10
