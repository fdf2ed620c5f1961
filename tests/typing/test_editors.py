"""What an editor offers while a user types: asked of pyright's language server, as editors ask it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless.settings._fields import FIELDS

pytestmark = pytest.mark.host(seconds=4)

TAKES_SETTINGS = [
    *("zespan_lambda(|)", "zespan_azure(|)", "zespan_gcf(|)", "zespan_cloud_event(|)", "zespan_job(|)"),
    *("zespan_vercel(|)", "run('digest', |)", "init(|)", "testing.recording(|)"),
    *("asgi.ZespanMiddleware(app, |)", "wsgi.ZespanMiddleware(app, |)"),
]
"""The pointer is at the bar."""

IMPORTS = "from zespan_serverless import *; from zespan_serverless import asgi, testing, wsgi"
MODULES = ["errors", "exporters", "frameworks", "opentelemetry", "testing", "types"]


class Editor:
    """The client of a language server."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path, python: Path) -> None:
        self._server, self._folder, self._python = server, folder, python
        self._numbers = itertools.count(1)
        workspace = {"uri": folder.as_uri(), "name": "workspace"}
        able = {
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {"hover": {"contentFormat": ["markdown"]}},
        }
        options = {"processId": None, "rootUri": folder.as_uri(), "workspaceFolders": [workspace], "capabilities": able}
        self._ask("initialize", options)
        self._send({"method": "initialized", "params": {}})

    def completions(self, text: str) -> list[str]:
        """Return what can be written at the bar in the text."""
        answer = self._ask("textDocument/completion", self._opened(text))
        return [one["label"] for one in (answer["items"] if isinstance(answer, dict) else answer)]

    def hover(self, text: str) -> str:
        """Return what is shown of the word at the bar, in Markdown."""
        return str(self._ask("textDocument/hover", self._opened(text))["contents"]["value"])

    def _opened(self, text: str) -> dict[str, Any]:
        before, _, after = text.partition("|")
        uri = (self._folder / f"file_{next(self._numbers)}.py").as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": before + after}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        lines = before.split("\n")
        return {"textDocument": {"uri": uri}, "position": {"line": len(lines) - 1, "character": len(lines[-1])}}

    def _ask(self, method: str, params: object) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._read()
            if "method" not in message and message.get("id") == number:
                return message["result"]
            if "method" in message and "id" in message:  # the server asks, too: for its settings
                items = (message.get("params") or {}).get("items", [])
                found = [{"pythonPath": str(self._python)} if one["section"] == "python" else {} for one in items]
                self._send({"id": message["id"], "result": found})

    def _send(self, message: dict[str, object]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._server.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        length = 0
        while (line := self._server.stdout.readline().strip().lower()) or not length:
            assert line, "the server has ended"
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        return message


@pytest.fixture
def editor(python: Path, tmp_path: Path) -> Iterator[Editor]:
    """A new one for each test: pyright's answer to one kind of question depends on what else it has been asked."""
    command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            yield Editor(server, tmp_path, python)
        finally:
            server.terminate()


def test_every_setting_is_offered(editor: Editor) -> None:
    """Wherever settings are taken, each is completed by its name."""
    offered = {call: editor.completions(f"{IMPORTS}\n{call}") for call in TAKES_SETTINGS}
    lacking = {call: [name for name in FIELDS if f"{name}=" not in names] for call, names in offered.items()}
    assert {call: names for call, names in lacking.items() if names} == {}


def test_the_text_of_a_setting_is_shown(editor: Editor) -> None:
    """At its name in a call, wherever settings are taken: with its range, its default and its variable."""
    shown = {call: editor.hover(f"{IMPORTS}\n{call.replace('|', 'flush_time|out=1')}") for call in TAKES_SETTINGS}
    assert [call for call, text in shown.items() if "0.01 to 60. Default: 1.0. ZESPAN" not in text] == []


def test_the_choices_of_a_setting_are_offered(editor: Editor) -> None:
    """Inside the quotes of its value."""
    choices = [f'"{choice}"' for choice in FIELDS["flush_mode"].choices]
    assert editor.completions(f'{IMPORTS}\nzespan_lambda(flush_mode="|")') == choices


def test_the_text_of_a_module_has_its_lines(editor: Editor) -> None:
    """Examples are blocks of code, and nothing is in columns, which an editor would run into one another."""
    for module in MODULES:
        shown = editor.hover(f"import zespan_serverless.{module}\nzespan_serverless.{module[:-1]}|{module[-1]}")
        assert len(shown.splitlines()) > 5, shown
        assert "&nbsp;" not in shown, shown
