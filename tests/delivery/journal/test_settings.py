"""Where journals are, and what is never in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.delivery.journal.support import MIB, SPAN, posix_only
from zespan_serverless import capture as capture_event
from zespan_serverless import init
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._process import container as _container
from zespan_serverless._record.record import Record
from zespan_serverless._trace.context import Span
from zespan_serverless.testing import Backend

pytestmark = posix_only


@pytest.mark.parametrize(
    ("where", "host", "expected"),
    [
        ("off", {"AWS_LAMBDA_RUNTIME_API": "there"}, None),
        ("auto", {}, None),
        ("auto", {"AWS_LAMBDA_RUNTIME_API": "there"}, "zespan-serverless-{uid}"),
        ("auto", {"AWS_LAMBDA_RUNTIME_API": "there", "AWS_LAMBDA_MAX_CONCURRENCY": "4"}, None),
        ("on", {}, "zespan-serverless-{uid}"),
        ("{path}", {}, "mine"),
    ],
)
def test_journal_folder_follows_setting_and_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, host: dict[str, str], expected: str | None
) -> None:
    """On Lambda by default, where a process is started anew; elsewhere if asked for; in the temporary directory, or
    where one says."""
    os.environ["TMPDIR"] = str(tmp_path)
    monkeypatch.setitem(sys.modules, "awslambdaric.bootstrap", ModuleType("bootstrap"))
    for name, value in host.items():
        monkeypatch.setenv(name, value)
    init(base_url="http://127.0.0.1:9", journal=where.format(path=tmp_path / "mine"))
    capture_event({})
    assert [file.name for file in tmp_path.iterdir()] == ([expected.format(uid=os.geteuid())] if expected else [])


@pytest.mark.parametrize("exporter", ["console", "memory"])
def test_no_journal_for_console_and_memory(tmp_path: Path, exporter: Any) -> None:
    """Events that go nowhere need no disk."""
    init(exporter=exporter, journal=str(tmp_path / "mine"))
    capture_event({})
    assert list(tmp_path.iterdir()) == []


def test_relative_folder_is_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays where it was when the process goes elsewhere."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = Journal("here", "there", "zsp_key", MIB)
    monkeypatch.chdir(tmp_path / "other")
    assert relative.append_event(b"1")
    assert [file.name for file in (tmp_path / "here").glob("*.journal")] != []


def test_journal_contains_no_secrets(folder: Path, backend: Backend) -> None:
    """The key is in no file; what stands under a redacted key is not, either."""
    backend.mode = "hang"
    init(base_url=backend.url, api_key="zsp_supersecret", journal=str(folder))
    capture_event({"operation": "visible", "metadata": {"password": "zsp_hidden"}})
    container = _container.current()
    assert container is not None
    container.opened(Record(Span("t" * 32, SPAN), container.resource, "invocation", "begun"))
    (file,) = folder.iterdir()
    data = file.read_bytes()
    assert b"visible" in data
    assert b"begun" in data
    assert b"zsp_supersecret" not in data
    assert b"zsp_hidden" not in data


def test_unsampled_events_are_not_in_the_journal(folder: Path) -> None:
    """What is not to be sent is not written, either."""
    init(base_url="http://127.0.0.1:9", api_key="k", journal=str(folder), sample_rate=0.0)
    container = _container.current()
    assert container is not None
    container.opened(Record(Span("t" * 32, SPAN), container.resource, "invocation", "begun"))
    capture_event({"operation": "sampled out"})
    assert not folder.exists()
