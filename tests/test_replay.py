"""The command `zespan-serverless replay`: what is parked is sent, and only what is delivered is removed."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.stores import aws
from zespan_serverless.cli import main
from zespan_serverless.exporters.stores import Store, StoreExporter, batch_of, open_store
from zespan_serverless.testing import Backend

OF = {"exporter": "zespan", "content_type": "application/json"}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        yield backend


@pytest.fixture
def parked(tmp_path: Path) -> Store:
    """A directory with three batches of two events."""
    store = open_store(str(tmp_path / "parked"))
    for number in range(3):
        events = [json.dumps({"event_id": f"e{number}{half}"}).encode() for half in range(2)]
        store.put(batch_of(events, OF), f"b{number}", 5.0)
    return store


def ids(backend: Backend) -> list[str]:
    return [event["event_id"] for event in backend.events]


ALL = ["e00", "e01", "e10", "e11", "e20", "e21"]


def test_everything_is_delivered(backend: Backend, parked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Oldest first, with the same ids, over one connection; afterwards nothing is parked, and the exit code is 0."""
    assert main(["replay", parked.url]) == 0
    assert (ids(backend), [*parked.list()], backend.connections) == (ALL, [], 1)
    assert capsys.readouterr().out.splitlines() == [
        "b0: 2 events delivered",
        "b1: 2 events delivered",
        "b2: 2 events delivered",
        "3 batches with 6 events delivered, 0 batches left",
    ]


def test_it_may_go_elsewhere(parked: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--to` takes precedence over the environment."""
    monkeypatch.setenv("ZESPAN_BASE_URL", "http://127.0.0.1:9")
    assert main(["replay", parked.url, "--to", backend.url]) == 0
    assert ids(backend) == ALL


def test_a_dry_run_changes_nothing(backend: Backend, parked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells what there is, and where it would go."""
    assert main(["replay", parked.url, "--dry-run"]) == 0
    assert (ids(backend), [*parked.list()]) == ([], ["b0", "b1", "b2"])
    assert capsys.readouterr().out.splitlines()[0] == f"b0: 2 events for {backend.url}"


def test_some_of_them(backend: Backend, parked: Store) -> None:
    """`--limit` takes the oldest ones; `--keep` removes none of them."""
    assert main(["replay", parked.url, "--limit", "2", "--keep"]) == 0
    assert (ids(backend), [*parked.list()]) == (ALL[:4], ["b0", "b1", "b2"])


@pytest.mark.parametrize("mode", [500, "refuse"])
def test_a_backend_that_is_away(mode: int, backend: Backend, parked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is removed, the exit code is 1; the next run delivers everything."""
    backend.mode = mode
    assert main(["replay", parked.url, "--patience", "0.3"]) == 1
    assert [*parked.list()] == ["b0", "b1", "b2"]
    assert "b0: stays where it is: retry, " in capsys.readouterr().out
    backend.mode = "ok"
    assert main(["replay", parked.url]) == 0
    assert (ids(backend), [*parked.list()]) == (ALL, [])


def test_the_other_backends_get_theirs(
    backend: Backend, parked: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store has batches for several, the first is unavailable: it is tried once; the next run sends the rest."""
    with Backend(decode=lambda body: json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]) as collector:
        monkeypatch.setenv("ZESPAN_EXPORTER", "zespan,otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        for name in ("b3", "b5"):
            parked.put(batch_of([json.dumps({"name": name}).encode()], {**OF, "exporter": "otlp"}), name, 5.0)
        parked.put(parked.get("b0") + parked.get("b5"), "b4", 5.0)  # as Firehose joins them
        backend.mode = 503
        assert main(["replay", parked.url, "--patience", "0.3"]) == 1
        assert [*parked.list()] == ["b0", "b1", "b2", "b4"]
        assert [span["name"] for span in collector.events] == ["b3", "b5", "b5"]
        printed = capsys.readouterr().out
        assert printed.count("stays where it is") == 2
        assert "b4: stays where it is: retry, its backend is unavailable" in printed
        assert "not tried, because their backends have failed: 2 more batches" in printed
        backend.mode = "ok"
        assert main(["replay", parked.url]) == 0
    assert ids(backend) == [*ALL, "e00", "e01"]
    assert [*parked.list()] == []


def test_a_backend_that_fails_on_the_way(backend: Backend, parked: Store) -> None:
    """What was delivered before is removed, and not sent again by the next run."""

    def fail_after_e11(event: dict[str, object]) -> bool:
        if event["event_id"] == "e11":
            backend.mode = 500
        return False

    backend.reject = fail_after_e11
    assert main(["replay", parked.url, "--patience", "0.3"]) == 1
    assert [*parked.list()] == ["b2"]
    backend.mode, backend.reject = "ok", None
    assert main(["replay", parked.url]) == 0
    assert ids(backend) == ALL


def test_a_refused_event_stays(backend: Backend, parked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Its batch stays, with the reason; the others go on."""
    backend.reject = lambda event: event["event_id"] == "e10"
    assert main(["replay", parked.url]) == 1
    assert (sorted(ids(backend)), [*parked.list()]) == (["e00", "e01", "e11", "e20", "e21"], ["b1"])
    printed = capsys.readouterr().out
    assert "b1: stays where it is: refused, HTTP 400" in printed
    assert "2 batches with 4 events delivered, 1 batch left" in printed


def test_a_damaged_file_stays(backend: Backend, parked: Store, tmp_path: Path) -> None:
    """The others are delivered; a dry run finds it, too."""
    (tmp_path / "parked" / "a.gz").write_bytes(b"half")
    assert main(["replay", parked.url, "--dry-run"]) == 1
    assert main(["replay", parked.url]) == 1
    assert (ids(backend), [*parked.list()]) == (ALL, ["a"])


def test_a_batch_that_another_process_has_taken(
    backend: Backend, parked: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs at once deliver everything; neither fails."""
    monkeypatch.setattr(type(parked), "list", lambda _: iter(["b0", "gone", "b2"]))
    assert main(["replay", parked.url]) == 0
    assert ids(backend) == [*ALL[:2], *ALL[4:]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["kinesis://stream"], "cannot be read back"),
        (["ftp://x"], "a store must be"),
        ([""], "a store must be"),
        (["{missing}"], "No such file"),
        (["{parked}", "--to", "nonsense"], "base_url must be like"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    arguments: list[str], told: str, parked: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is wrong, and the exit code is 1."""
    given = [text.format(missing=tmp_path / "missing", parked=parked.url) for text in arguments]
    with pytest.raises(SystemExit) as ended:
        main(["replay", *given])
    printed = capsys.readouterr().err
    assert (ended.value.code, printed.count("\n"), told in printed) == (1, 1, True), printed


def test_without_a_key(parked: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which variable to set, and nothing is removed."""
    monkeypatch.delenv("ZESPAN_API_KEY", raising=False)
    assert main(["replay", parked.url]) == 1
    assert "b0: stays where it is: refused, the exporter zespan is not configured: set ZESPAN_API_KEY" in (
        capsys.readouterr().out
    )
    assert [*parked.list()] == ["b0", "b1", "b2"]


@pytest.mark.skipif(sys.platform == "win32", reason="files have other names there")
def test_whatever_is_in_the_directory(
    backend: Backend, parked: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read keeps nothing else from being sent, and no name changes what a terminal shows."""
    folder = tmp_path / "parked"
    (folder / "a.gz").mkdir()
    os.mkfifo(folder / "b.gz")
    (folder / "c.gz").write_bytes(gzip.compress(b"[" * 100_000 + b"\n"))
    (folder / "b2.gz").rename(os.fsdecode(bytes(folder) + b"/d\xff\x1b[31m\n.gz"))
    assert main(["replay", parked.url, "--dry-run"]) == 1
    assert main(["replay", parked.url]) == 1
    assert (ids(backend), [*parked.list()]) == (ALL, ["a", "b", "c"])
    printed = capsys.readouterr().out
    assert "a: stays where it is: ValueError: it is no file" in printed
    assert "d\\udcff\\x1b[31m\\n: 2 events delivered" in printed


@pytest.mark.parametrize(
    "arguments", [["--limit", "-1"], ["--limit", "x"], ["--patience", "nan"], ["--patience", "-1"]]
)
def test_numbers_that_are_none(arguments: list[str], parked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused before anything is sent, with an example."""
    with pytest.raises(SystemExit):
        main(["replay", parked.url, *arguments])
    assert "such as " in capsys.readouterr().err


def test_what_is_interrupted(
    backend: Backend, parked: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says that it can be run again, which sends the rest."""
    delete = type(parked).delete

    def interrupted(store: Store, name: str) -> None:
        delete(store, name)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(parked), "delete", interrupted)
    with pytest.raises(SystemExit):
        main(["replay", parked.url])
    assert "run the same command again" in capsys.readouterr().err
    monkeypatch.setattr(type(parked), "delete", delete)
    assert main(["replay", parked.url]) == 0
    assert ids(backend) == ALL


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named as pip knows it."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    with pytest.raises(SystemExit):
        main(["replay", "s3://bucket"])
    assert "s3://bucket needs a package that is missing: boto3" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("url", ["s3://bucket/parked", "sqs://queue"])
def test_replay_empties_a_bucket_and_a_queue(url: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a bucket and from a queue, which are empty afterwards; and not before everything is delivered."""
    with aws.aws_server() as server:
        aws.use(server, monkeypatch)
        aws.client("s3", server).create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.REGION}
        )
        aws.client("sqs", server).create_queue(QueueName="queue")
        exporter = StoreExporter(open_store(url), OF)
        for number in range(3):
            assert exporter.send([json.dumps({"event_id": f"e{number}"}).encode()], 20.0).verdict == "delivered"
        backend.mode = 500
        assert main(["replay", url, "--patience", "0.2"]) == 1
        backend.mode = "ok"
        assert main(["replay", url]) == 0
        assert sorted(ids(backend)) == ["e0", "e1", "e2"]
        assert main(["replay", url]) == 0
        assert len(backend.events) == 3


@pytest.mark.slow
def test_a_store_that_is_away(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SDK's own words are told in one line, without a traceback."""
    aws.use("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SystemExit):
        main(["replay", "s3://bucket"])
    assert "s3://bucket: EndpointConnectionError" in capsys.readouterr().err


def test_as_a_program(backend: Backend, parked: Store) -> None:
    """`python -m zespan_serverless replay` has the same exit code."""
    command = [sys.executable, "-m", "zespan_serverless", "replay", parked.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stderr, done.stdout.splitlines()[-1]) == ("", "3 batches with 6 events delivered, 0 batches left")
    parked.put(b"damaged", "b4", 5.0)
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1
