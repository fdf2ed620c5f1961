"""The command in its terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.server import DevServer, running

from tests.dev.server.support import event
from tests.support import ROOT
from zespan_serverless.cli import main

pytestmark = pytest.mark.host(seconds=1.5)


class Started:
    """`zespan-serverless dev` in its own process, until it has printed its address."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "zespan_serverless", "dev", "--port", "0", *arguments]
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'dev'}"}
        self._process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self._process.stdout.readline()
            assert line, self.said
            self.said += line
        (self.url, self.token) = re.findall(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)", self.said)[0]

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; gives the exit code, and what was printed last."""
        self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=30)
        return self._process.returncode, rest


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    made: list[Started] = []

    def start(*arguments: str) -> Started:
        made.append(Started(tmp_path, *arguments))
        return made[-1]

    yield start
    for one in made:
        one._process.kill()
        one._process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_a_signal(started: Any, tmp_path: Path, number: int) -> None:
    """It prints its address and what to type; what functions send meanwhile is in the file when it has ended."""
    dev = started("--name", "mine")
    assert f"export ZESPAN_BASE_URL={dev.url} ZESPAN_API_KEY=zsp_local ZESPAN_ENABLED=1" in dev.said
    assert running.find(tmp_path / ".zespan") == (dev.url, dev.token)
    request = urllib.request.Request(f"{dev.url}/v1/ingest", json.dumps(event()).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    code, said = dev.end(number)
    assert running.find(tmp_path / ".zespan") is None
    assert (code, said) == (0, "\n1 event: 1 delivered, 0 waiting, 0 lost, 0 dropped\n")
    with DevServer(tmp_path / ".zespan") as other:
        assert [(run["name"], run["events"]) for run in other.get("runs")["runs"]] == [(None, 0), ("mine", 1)]


def test_a_server_that_is_killed(started: Any, tmp_path: Path) -> None:
    """What it had shown is still in the run afterwards, and the next server starts as usual."""
    dev = started("--name", "mine")
    request = urllib.request.Request(f"{dev.url}/v1/ingest", json.dumps(event()).encode())
    urllib.request.urlopen(request, timeout=30).close()
    headers = {"authorization": f"Bearer {dev.token}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{dev.url}/api/summary", headers=headers), timeout=30
    ) as answer:
        assert json.load(answer)["events"] == 1
    dev.end(signal.SIGKILL)
    with DevServer(tmp_path / ".zespan") as other:
        assert [(run["name"], run["events"]) for run in other.get("runs")["runs"]] == [(None, 0), ("mine", 1)]
        assert running.find(tmp_path / ".zespan") == (other.url, other.token)


def test_in_memory_nothing_is_kept(started: Any, tmp_path: Path) -> None:
    """With --memory there is no folder, and the terminal says that the run goes with the process."""
    dev = started("--memory")
    assert "memory" in dev.said
    assert dev.end(signal.SIGINT)[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--keep", "0"], "--keep must be 1 or more"), (["--port", "70000"], "--port must be from 0 to 65535")],
)
def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """The error says what is possible."""
    with pytest.raises(SystemExit, match="1"):
        main(["dev", "--memory", *arguments])
    assert says in capsys.readouterr().err


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the port, and what to type instead."""
    with DevServer() as dev, pytest.raises(SystemExit, match="1"):
        main(["dev", "--memory", "--port", str(dev.port)])
    error = capsys.readouterr().err
    assert f"port {dev.port} cannot be used" in error
    assert "--port 0" in error
