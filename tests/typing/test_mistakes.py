"""mypy and pyright find mistakes in the code of users, at their lines, and nothing in code that is right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host(seconds=40)

BEGINNING = """
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from zespan_serverless import (
    FlushReport, asgi, capture, current_span, flush, init, run, span, testing, with_context, wsgi,
    zespan_azure, zespan_cloud_event, zespan_gcf, zespan_job, zespan_lambda, zespan_vercel,
)
from zespan_serverless.types import Dropped, Event, EventFields, Exporter, Outcome, SettingsKwargs


def on_dropped(dropped: Dropped) -> None: ...
def on_flushed(report: FlushReport) -> None: ...
async def application(scope: Any, receive: Any, send: Any) -> None: ...
def wsgi_application(environ: Any, start: Any) -> list[bytes]: return []
class Sending(Exporter):
    destination = "https://collector.example"
    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome: return Outcome("delivered")
class Provider:
    def force_flush(self, timeout_millis: int = 30000) -> bool: return True
class Client:
    def flush(self) -> None: ...
class Nothing: ...
"""

MISTAKES = [
    # A name is misspelt, in whatever takes settings.
    "zespan_lambda(flush_timeot=1)",
    'init(enviroment="test")',
    "testing.recording(store_prompt=True)",
    'run("digest", max_event=5)',
    "zespan_azure(sample_rat=0.5)",
    'zespan_gcf(flushmode="auto")',
    "zespan_cloud_event(redact_key=['pin'])",
    "zespan_job(tag={'team': 'search'})",
    "zespan_vercel(on_errors=on_dropped)",
    "asgi.ZespanMiddleware(application, service='api')",
    "wsgi.ZespanMiddleware(wsgi_application, debugging=True)",
    # A value has the wrong type, or is none of those that there are.
    'zespan_lambda(flush_timeout="1")',
    'zespan_lambda(flush_mode="after")',
    "zespan_lambda(enabled='0')",
    "zespan_lambda(batch_size=1.5)",
    "zespan_lambda(journal=True)",
    "zespan_lambda(tags=['team'])",
    'zespan_lambda(redact_keys="pin")',
    'zespan_lambda(propagate_to="api.example.com")',
    'zespan_lambda(exporter="consle")',
    'zespan_lambda(exporter=["zespan", "grafna"])',
    "zespan_lambda(exporter=Nothing())",
    'zespan_lambda(console_format="xml")',
    'zespan_lambda(flush="sentry")',
    'zespan_lambda(flush=["sentri"])',
    "zespan_lambda(flush=[Nothing()])",
    # A function that is called takes something else.
    "zespan_lambda(on_flush=on_dropped)",
    "zespan_lambda(on_error=on_flushed)",
    "zespan_lambda(on_error=lambda dropped: dropped.count)",
    "zespan_lambda(user_id='ada')",
    # Spans and events.
    'span("search", kind="tol")',
    'span("call", kind="llm")',
    'span("search", kind="retriever", question="?")',
    'current_span("retrieve")',
    'capture({"spankind": "tool"})',
    'capture({"span_kind": "tol"})',
    'capture({"latency_ms": "12"})',
    'with_context(user="ada")',
    'flush(timeout="1")',
    "print(flush().deliverd)",
]
"""Each is one statement."""

VALID = """
settings: SettingsKwargs = {"flush_timeout": 0.5, "exporter": "console", "on_error": on_dropped}
zespan_lambda(**settings)
more: SettingsKwargs = {**settings, "environment": "test"}
zespan_lambda(**more)
zespan_azure(**settings)
zespan_gcf(**settings)
zespan_cloud_event(**settings)
zespan_job(**settings)
zespan_vercel(**settings)
init(**settings)
run(**settings)
run("digest", **settings)
testing.recording(**settings)
asgi.ZespanMiddleware(application, **settings)
wsgi.ZespanMiddleware(wsgi_application, **settings)
def traced(function: Callable[[Any, Any], str], **given: Unpack[SettingsKwargs]) -> Callable[[Any, Any], str]:
    return zespan_lambda(**given)(function)
traced(lambda event, context: "x", store_prompts=False)
configured = functools.partial(zespan_lambda, flush_timeout=0.5)
zespan_lambda(redact_keys=["pin"], propagate_to=("api.example.com", "aws:sqs"))
zespan_lambda(redact_keys={"pin"}, propagate_to=frozenset({"*.example.com"}))
zespan_lambda(redact_keys={"pin": 1}.keys(), propagate_to=(host for host in ["a.example"]))
zespan_lambda(flush=["sentry", Provider(), Client(), lambda: None, on_flushed])
zespan_lambda(flush=(Provider(),), flush_timeout=1, cap_timeouts=True, journal="/var/tmp/events")
zespan_lambda(exporter=["zespan", Sending()], tags={"n": 1}, api_key=None, fallback="file:///mnt/efs/parking")
zespan_lambda(on_error=lambda dropped: print(dropped.events), on_flush=lambda report: print(report.delivered))
zespan_lambda(user_id=lambda event: event["user"], session_id=None)
with testing.recording(exporter="memory", store_prompts=True) as events:
    event: Event = events[0]
with span("search", kind="retriever", query="?") as found, with_context(user_id="ada"):
    found.documents(["x"])
own: EventFields = {"operation": "x"}
capture(own)
capture({"span_kind": "tool", "latency_ms": 12, "metadata": {"a": 1}})
"""


def expected() -> dict[int, str]:
    """Return the lines of the program that are mistakes."""
    first = len(f"{BEGINNING}{VALID}".splitlines()) + 1
    return dict(enumerate(MISTAKES, first))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("program") / "app.py"
    file.write_text(f"{BEGINNING}{VALID}" + "".join(f"{line}\n" for line in MISTAKES))
    return file


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def found(request: pytest.FixtureRequest, python: Path, program: Path) -> dict[int, str]:
    """The errors by line."""
    return (_of_mypy if request.param == "mypy" else _of_pyright)(python, program)


def _of_mypy(python: Path, program: Path) -> dict[int, str]:
    printed = _run(program, "mypy", "--strict", "--no-error-summary", "--python-executable", str(python))
    return {int(line): text for line, text in re.findall(r"^app\.py:(\d+): error: (.*)$", printed, re.MULTILINE)}


def _of_pyright(python: Path, program: Path) -> dict[int, str]:
    (program.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    printed = _run(program, "pyright", "--outputjson", "--pythonpath", str(python))
    errors = [one for one in json.loads(printed)["generalDiagnostics"] if one["severity"] == "error"]
    return {one["range"]["start"]["line"] + 1: one["message"] for one in errors}


def _run(program: Path, checker: str, *options: str) -> str:
    command = [sys.executable, "-m", checker, *options, program.name]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # 0 would be no error, 2 a failure of the checker
    return done.stdout


def test_every_mistake_is_found(found: dict[int, str]) -> None:
    """At the line where it is."""
    assert [text for line, text in expected().items() if line not in found] == []


def test_nothing_is_found_in_what_is_right(found: dict[int, str]) -> None:
    """Settings that are passed on by ** are right, and functions, objects and names where there is a choice."""
    assert {line: text for line, text in found.items() if line not in expected()} == {}
