"""Runs in a folder: who may read it, how many are kept, what one holds, and one as a file."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from zespan_serverless_dev.server import DevServer, running
from zespan_serverless_dev.store.bounds import Bounds

from tests.dev.server.support import BODY_TYPE, CALL, ROOT, TRACE, Reply, ask, event, owner, root, send
from tests.support import until
from zespan_serverless.errors import ConfigurationError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.sqlite"))


@posix
def test_only_its_owner_can_read_a_run(tmp_path: Path) -> None:
    """The folder is 0700, its files are 0600 while the server runs and after it, and git ignores them."""
    folder = tmp_path / ".zespan"
    with DevServer(folder) as dev:
        send(dev, event())
        assert dev.get("summary")["events"] == 1
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.name != ".gitignore"}
        assert len(modes) == 4  # the run, SQLite's two beside it, and where tools find the server
        assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".sqlite"]


@pytest.mark.parametrize("name", ["notes.txt", ".gitignore"])
def test_another_user_s_folder_is_left_alone(tmp_path: Path, name: str) -> None:
    """A folder with other files is refused, and nothing in it changes."""
    (tmp_path / name).write_text("*.pyc\n")
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="--folder"):
        DevServer(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@posix
def test_a_folder_that_came_with_a_repository(tmp_path: Path) -> None:
    """A folder of this name that others may read is refused; so is a file in it."""
    folder = tmp_path / ".zespan"
    DevServer(folder).close()
    (folder / "20200101-000000-abcd.sqlite").write_bytes(b"")
    (folder / "20200101-000000-abcd.sqlite").chmod(0o644)
    with DevServer(folder) as dev:
        assert "20200101-000000-abcd" not in [run["id"] for run in dev.get("runs")["runs"]]
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match="others may read"):
        DevServer(folder)


@posix
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A repository may have a link of the folder's name, which leads to another folder of this user's."""
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (tmp_path / ".zespan").symlink_to(other)
    with pytest.raises(ConfigurationError, match="is a link"):
        DevServer(tmp_path / ".zespan")
    assert (list(other.iterdir()), other.stat().st_mode & 0o777) == ([], 0o755)


def test_the_last_runs_are_kept(tmp_path: Path) -> None:
    """A new run makes the oldest one go; the others can be read, and have the names that they were given."""
    for name in ("one", "two", "three", "four"):
        with DevServer(tmp_path / "runs", name=name, keep=3) as dev:
            send(dev, event())
        time.sleep(0.002)  # ids of runs are sorted by the millisecond
    with DevServer(tmp_path / "runs", keep=3) as dev:
        runs = dev.get("runs")["runs"]
        assert [(run["name"], run["events"], run["current"]) for run in runs] == [
            (None, 0, True),
            ("four", 1, False),
            ("three", 1, False),
            ("two", 1, False),
        ]
        assert runs[1]["ended"] > runs[1]["started"]
        old = runs[2]["id"]
        assert dev.get(f"summary?run={old}")["events"] == 1
        assert dev.get(f"trace/{TRACE}?run={old}")["spans"][0]["span_id"] == CALL
        difference = dev.get(f"compare?a={old}&b={runs[0]['id']}")["rows"]
        assert [(row["a"]["count"], row["b"]) for row in difference] == [(1, None)]
    assert len(files(tmp_path / "runs")) == 3


def test_a_run_in_which_nothing_arrives(tmp_path: Path) -> None:
    """It is not kept, and takes no other run's place."""
    with DevServer(tmp_path / "runs", keep=2) as dev:
        send(dev, event())
    for _ in range(3):
        DevServer(tmp_path / "runs", keep=1).close()
    assert len(files(tmp_path / "runs")) == 1


def test_a_run_that_another_server_records_is_not_deleted(tmp_path: Path) -> None:
    """Two servers may share a folder: neither deletes the other's run, however few are kept."""
    with DevServer(tmp_path / "runs", keep=1) as first:
        send(first, event())
        with DevServer(tmp_path / "runs", keep=1) as second:
            assert len(files(tmp_path / "runs")) == 2
            send(second, event())
        assert first.get("summary")["events"] == 1
        send(first, event())
        assert first.get("summary")["events"] == 2


def test_a_file_that_is_no_run(tmp_path: Path) -> None:
    """A damaged file is not listed, and does no harm."""
    folder = tmp_path / "runs"
    DevServer(folder).close()
    broken = folder / "20200101-000000-abcd.sqlite"
    broken.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    broken.chmod(0o600)
    with DevServer(folder) as dev:
        assert len(dev.get("runs")["runs"]) == 1
        reply = ask(dev, "GET", "/api/summary?run=20200101-000000-abcd", headers=owner(dev))
        assert (reply.status, "cannot be read" in reply.json()["error"]) == (422, True)


def test_tools_find_the_server(tmp_path: Path) -> None:
    """Its file has the URL and the token while it runs, and is gone afterwards."""
    with DevServer(tmp_path / "runs") as dev:
        assert running.find(tmp_path / "runs") == (dev.url, dev.token)
    assert running.find(tmp_path / "runs") is None


def test_a_server_that_is_not_on_this_machine_is_not_found(tmp_path: Path) -> None:
    """A file that leads elsewhere, as one in a repository could, is ignored."""
    running.write(tmp_path, running.Running("http://example.com:80", "t"))
    assert running.find(tmp_path) is None
    running.write(tmp_path, running.Running("http://127.0.0.1:4880", "t"))
    assert running.find(tmp_path) == ("http://127.0.0.1:4880", "t")
    (tmp_path / "running.json").chmod(0o644)
    assert running.find(tmp_path) is None or os.name == "nt"


def test_the_oldest_events_go_when_there_are_too_many() -> None:
    """A run holds its bounds, says how many events are gone, and its ledger still adds up. What has not been delivered
    is kept the longest."""
    with DevServer(bounds=Bounds(events=100)) as dev:
        dev.fault = "500"
        send(dev, event(event_id="waits", trace_id="a" * 32))
        dev.fault = "ok"
        for number in range(30):
            ids = {"trace_id": f"{number:032x}"}
            send(dev, *(event(**ids) for _ in range(4)), root(**ids, metadata={"faas.invocation_id": f"r-{number}"}))
        summary = dev.get("summary")
        ledger = summary["ledger"]
        assert summary["older_dropped"] > 0
        assert ledger["captured"] + summary["older_dropped"] == 151
        assert ledger["captured"] <= 100
        assert (ledger["delivered"], ledger["waiting"]) == (ledger["captured"] - 1, 1)
        assert dev.get("ledger?state=waiting")["rows"][0]["event_id"] == "waits"
        rows = dev.get("invocations?limit=500")["rows"]
        assert f"{29:032x}" in {row["trace_id"] for row in rows}
        assert f"{0:032x}" not in {row["trace_id"] for row in rows}


def test_a_run_holds_its_bytes() -> None:
    """Large events make the oldest ones go, too."""
    with DevServer(bounds=Bounds(bytes=3_000_000)) as dev:
        for number in range(40):
            send(dev, event(trace_id=f"{number:032x}", prompt_text="x" * 200_000))
        assert 0 < dev.get("summary")["events"] < 20
        assert dev.get("runs")["runs"][0]["bytes"] < 4_000_000


def test_a_run_holds_its_bytes_of_records_alone() -> None:
    """Lifecycle records without any event are bounded, too: the latest ones are kept."""
    with DevServer(bounds=Bounds(bytes=3_000_000)) as dev:
        for number in range(100):
            dev.post_lifecycle({"type": "log", "sandbox": "s", "text": "x" * 80_000, "request_id": f"r-{number}"})
        with dev.runs.current.reading() as db:
            kept = [row[0] for row in db.execute("SELECT request_id FROM lifecycle ORDER BY seq")]
        assert 0 < len(kept) < 50
        assert kept[-1] == "r-99"
        assert dev.get("runs")["runs"][0]["bytes"] < 4_000_000


def export(dev: DevServer, run: str = "current") -> bytes:
    reply = ask(dev, "GET", f"/api/export?run={run}", headers=owner(dev))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/gzip")
    assert "attachment" in reply.headers["content-disposition"]
    return reply.body


def bring(dev: DevServer, file: bytes) -> Reply:
    return ask(dev, "POST", "/api/import", file, {**owner(dev), "content-type": BODY_TYPE})


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "folder"])
def test_a_run_as_one_file(tmp_path: Path, in_memory: bool) -> None:
    """A run that is exported and imported elsewhere answers the same."""
    with DevServer(None if in_memory else tmp_path / "a", name="mine") as dev:
        tried, of_root = event(), root()
        dev.post_lifecycle(
            {"type": "sandbox", "sandbox": "s", "function": "shop"},
            {"type": "invoke", "sandbox": "s", "request_id": "r-1", "cold": True, "at": 1000.0},
            {"type": "captured", "sandbox": "s", "event_id": "lost", "request_id": "r-1"},
            {"type": "exit", "sandbox": "s", "reason": "kill"},
        )
        dev.fault = "429"
        send(dev, tried)
        dev.fault = "ok"
        send(dev, tried, of_root)
        file = export(dev)
        paths = ["summary?", "ledger?", "invocations?", f"trace/{TRACE}?", "sandboxes?", "lane?sandbox=s&"]
        before = [_plain(dev.get(path)) for path in paths]
    with DevServer(None if in_memory else tmp_path / "b") as dev:
        id = bring(dev, file).json()["run"]
        assert [_plain(dev.get(f"{path}run={id}")) for path in paths] == before
        assert {run["id"]: run["name"] for run in dev.get("runs")["runs"]}[id] == "mine"
        assert dev.get("summary")["events"] == 0


def _plain(answer: Any) -> Any:
    """Return an answer without what is different for each run."""
    answer.pop("run", None)
    return {**answer, "ended": None}


HEAD = b'{"zespan_run": 1}\n'
DELIVERY = b'{"delivery": {"at": 1, "path": "/v1/ingest", "status": 200}, "spans": '
FILES = {
    "nothing": b"",
    "no gzip": b"PK\x03\x04 a zip",
    "no run": gzip.compress(b'{"hello": 1}\n'),
    "of another version": gzip.compress(b'{"zespan_run": 99}\n'),
    "no object": gzip.compress(HEAD + b"[1]\n"),
    "damaged": gzip.compress(HEAD + DELIVERY + os.urandom(3000).hex().encode() + b"\n")[:-900],
    "a span that is none": gzip.compress(HEAD + DELIVERY + b'["x"]}\n'),
    "a span without an id": gzip.compress(HEAD + DELIVERY + b'[["zespan", "{}"]]}\n'),
    "a span of OTLP with no ids": gzip.compress(HEAD + DELIVERY + b'[["otlp", "{\\"attributes\\": 7}"]]}\n'),
    "a record that is none": gzip.compress(HEAD + b'{"lifecycle": {"type": 7}}\n'),
    "deep": gzip.compress(HEAD + b'{"lifecycle":' + b"[" * 9000 + b"]" * 9000 + b"}\n"),
}


@pytest.mark.parametrize("file", FILES.values(), ids=FILES.keys())
def test_a_file_that_cannot_be_imported(tmp_path: Path, file: bytes) -> None:
    """It is refused with a reason, and leaves nothing behind."""
    with DevServer(tmp_path / "runs") as dev:
        reply = bring(dev, file)
        assert reply.status == 400
        assert reply.json()["error"]
        assert len(dev.get("runs")["runs"]) == 1
        assert len(files(tmp_path / "runs")) == 1


def test_a_hostile_file_changes_nothing_else(dev: DevServer) -> None:
    """Values of wrong types in a file of the right form become values that can be shown, as those of requests do."""
    values: list[Any] = [None, [], {}, "x" * 1000, -1, 1e300, True, "\ud800", {"a": [{}]}]
    records = [{"type": kind, "sandbox": "s", **dict.fromkeys(FIELDS, value)} for kind in TYPES for value in values]
    deliveries = [
        {"delivery": dict.fromkeys(("at", "bytes", "status", "answered", "fault", "path"), v)} for v in values
    ]
    lines = [{"zespan_run": 1, "name": {}, "started": "x"}, *({"lifecycle": one} for one in records), *deliveries]
    file = gzip.compress("\n".join(map(json.dumps, lines)).encode() + b"\n")
    id = bring(dev, file).json()["run"]
    traces = [row["trace_id"] for row in dev.get(f"invocations?run={id}")["rows"]]
    for path in ("summary", "sandboxes", "lane", "ledger", "invocations", *(f"trace/{quote(one)}" for one in traces)):
        dev.get(f"{path}?run={id}&sandbox=s")
    assert dev.get("summary")["sandboxes"] == 0


TYPES = (
    *("sandbox", "init", "invoke", "begun", "captured", "first_token", "response", "flush", "dropped", "done"),
    *("freeze", "thaw", "sigterm", "exit", "log", "unknown"),
)
FIELDS = (
    *("request_id", "trace_id", "span_id", "event_id", "event_ids", "duration_ms", "controls", "memory_mb", "cold"),
    *("deadline", "outcome", "billed_ms", "reason", "waiting", "kind", "name", "text", "status"),
)


def test_the_writer_survives_a_request_that_cannot_be_written(
    dev: DevServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that fails is left out and told; those around it in one transaction are written."""

    def fail(db: sqlite3.Connection) -> Any:
        raise sqlite3.OperationalError("disk full")

    run: Any = dev.runs.current
    with run._lock:  # so that all three are in one transaction
        send(dev, event())
        run._writer.put(fail)
        send(dev, event(span_id=ROOT))
    until(lambda: dev.get("summary")["events"] == 2)
    assert "disk full" in capsys.readouterr().err


def test_a_run_of_another_version(tmp_path: Path) -> None:
    """It is neither listed nor read."""
    with DevServer(tmp_path / "runs") as dev:
        send(dev, event())
    (name,) = files(tmp_path / "runs")
    with sqlite3.connect(tmp_path / "runs" / name) as db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'version'")
    db.close()
    with DevServer(tmp_path / "runs") as dev:
        assert len(dev.get("runs")["runs"]) == 1
        with pytest.raises(urllib.error.HTTPError, match="422"):
            dev.get(f"summary?run={name.removesuffix('.sqlite')}")
