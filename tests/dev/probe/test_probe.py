"""The probe tells what the package does in a program, and changes nothing there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint
from zespan_serverless_dev.probe import Facts, identity, inside

from zespan_serverless.testing import Backend

PROGRAM = """
    from zespan_serverless import flush, shutdown, span, zespan_lambda
    from zespan_serverless.testing import LambdaContext

    @zespan_lambda
    def handler(event, context):
        with span("step"):
            return 1

    assert handler({}, LambdaContext()) == 1
"""


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return Facts(tmp_path / "facts")


def ran(
    program: str, facts: Facts, backend: Backend, env: Mapping[str, str] | None = None, pythonpath: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program with the probe."""
    variables = {**os.environ, "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test", **(env or {})}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    probed = {**variables, **facts.environment(pythonpath)}
    return subprocess.run(command, env=probed, capture_output=True, text=True, timeout=60)


def of(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [fact for fact in found if fact["type"] == kind]


def test_life_of_events(facts: Facts, backend: Backend, tmp_path: Path) -> None:
    """A fact says when the package is loaded and each event is captured and delivered, with the ids that it has."""
    done = ran(PROGRAM, facts, backend, {"ZESPAN_JOURNAL": str(tmp_path / "journal")})
    assert (done.returncode, done.stderr) == (0, "")
    found = facts.read()
    ids = [event["event_id"] for event in backend.events]
    assert len(ids) == 2
    assert [fact["event_id"] for fact in of("captured", found)] == ids
    assert [item for fact in of("delivered", found) for item in fact["items"]] == ids
    assert {fact["type"] for fact in found} == {"loaded", "settings", "begun", "captured", "delivered", "flush"}
    step, root = of("captured", found)
    assert (step["name"], root["kind"], step["parent_span_id"]) == ("step", "invocation", root["span_id"])
    assert root["start"] <= step["start"] <= step["end"] <= root["end"]
    assert of("begun", found)[0]["span_id"] == root["span_id"]
    assert of("settings", found)[0]["reserve_ms"] == 200
    assert of("flush", found)[0]["delivered"] == 2
    assert facts.read() == []


def test_a_fact_reports_dropped_events(facts: Facts, backend: Backend) -> None:
    """A fact says which events are dropped, and why."""
    backend.mode = 400
    ran(PROGRAM, facts, backend)
    found = facts.read()
    dropped = of("dropped", found)
    assert {fact["reason"] for fact in dropped} == {"refused"}
    assert sorted(item for fact in dropped for item in fact["items"]) == sorted(
        fact["event_id"] for fact in of("captured", found)
    )


def test_a_fact_reports_parked_events(facts: Facts, backend: Backend, tmp_path: Path) -> None:
    """A fact says which events the fallback has taken."""
    backend.mode = "refuse"
    ran(PROGRAM, facts, backend, {"ZESPAN_FALLBACK": f"file://{tmp_path}/parked"})
    found = facts.read()
    assert len([item for fact in of("parked", found) for item in fact["items"]]) == 2


@pytest.mark.slow
def test_first_token_of_a_stream(facts: Facts, backend: Backend) -> None:
    """A fact says when the first token of a streamed answer has come: during the call."""
    program = """
        from openai import OpenAI
        from zespan_serverless import init, flush
        init()
        chunks = OpenAI().chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert len([*chunks]) > 1
        flush()
    """
    with ModelEndpoint() as model:
        done = ran(program, facts, backend, {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"})
    assert done.returncode == 0, done.stderr
    found = facts.read()
    (captured,), (token,) = of("captured", found), of("first_token", found)
    assert token["span_id"] == captured["span_id"]
    assert captured["start"] <= token["at"] <= captured["end"] + 1  # clocks of two kinds
    assert captured["model"] == "gpt-4o"


def test_facts_survive_a_kill(facts: Facts, backend: Backend) -> None:
    """What has happened before SIGKILL is in the file."""
    backend.mode = "hang"
    program = PROGRAM + "\n    import os; os.kill(os.getpid(), 9)"
    assert ran(program, facts, backend, {"ZESPAN_FLUSH_TIMEOUT": "0.1"}).returncode == -signal.SIGKILL
    assert len(of("captured", facts.read())) == 2


def test_every_patch_fits_the_package(facts: Facts, backend: Backend) -> None:
    """Each name that the probe patches is there, in the package and in Lambda's runtime client."""
    modules = ", ".join(inside.PATCHES)
    done = ran(f"import {modules}", facts, backend)
    assert done.returncode == 0, done.stderr
    assert of("broken", facts.read()) == []


def test_moved_name_is_a_fact(facts: Facts, backend: Backend, tmp_path: Path) -> None:
    """If a name has moved, a fact says so, and the program runs as without the probe."""
    module = tmp_path / "awslambdaric"
    module.mkdir()
    (module / "__init__.py").touch()
    (module / "lambda_runtime_client.py").write_text("class Renamed: ...")
    program = "import awslambdaric.lambda_runtime_client as moved; print(moved.Renamed.__name__, moved.__file__)"
    done = ran(program, facts, backend, pythonpath=str(tmp_path))
    assert done.stdout.startswith("Renamed"), done.stderr
    (broken,) = of("broken", facts.read())
    assert "LambdaRuntimeClient" in broken["what"]


def test_no_file_is_no_trouble(backend: Backend, tmp_path: Path) -> None:
    """If facts cannot be written, the program and its telemetry are as without the probe."""
    done = ran(PROGRAM, Facts(tmp_path / "missing" / "facts"), backend)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(backend.events) == 2


def test_patched_modules_have_their_own_loaders(facts: Facts, backend: Backend) -> None:
    """Loaders are those of a program without the probe, and can be copied; a module that is loaded again is patched."""
    program = """
        import copy, importlib, zespan_serverless._version as version
        importlib.reload(version)
        copy.deepcopy(version.__spec__)
        print(type(version.__loader__).__name__, type(version.__spec__.loader).__name__)
    """
    done = ran(program, facts, backend)
    assert (done.stderr, done.stdout.split()) == ("", ["SourceFileLoader"] * 2)
    assert len(of("loaded", facts.read())) == 2


def test_users_sitecustomize_runs(facts: Facts, backend: Backend, tmp_path: Path) -> None:
    """The program's own sitecustomize runs, too, with its name and file, and is what the program imports."""
    (tmp_path / "sitecustomize.py").write_text("print('customized', __name__, __file__)\nVALUE = 42")
    program = "import zespan_serverless, sitecustomize; print(sitecustomize.VALUE)"
    done = ran(program, facts, backend, pythonpath=str(tmp_path))
    assert done.stdout.split() == ["customized", "sitecustomize", str(tmp_path / "sitecustomize.py"), "42"]
    assert of("loaded", facts.read())


def test_nothing_is_imported_ahead_of_the_program(facts: Facts, backend: Backend) -> None:
    """A program that does not use the package does not import it because of the probe."""
    done = ran("import sys; print('zespan_serverless' in sys.modules, 'json' in sys.modules)", facts, backend)
    assert done.stdout.split() == ["False", "False"]
    assert facts.read() == []


def test_half_a_line_is_left_for_later(tmp_path: Path) -> None:
    """The reader returns whole lines only, leaves out what is none of the probe's, and misses nothing."""
    path = tmp_path / "facts"
    facts = Facts(path)
    assert facts.read() == []
    path.write_bytes(b'{"type": "asked"}\nrubbish\n[1]\n{"type": "req')
    assert facts.read() == [{"type": "asked"}]
    with path.open("ab") as file:
        file.write(b'uest"}\n')
    assert facts.read() == [{"type": "request"}]


@pytest.mark.parametrize("protocol", ["protobuf", "json"])
def test_identity_of_what_the_package_encodes(facts: Facts, backend: Backend, protocol: str) -> None:
    """An event that is sent as OTLP has the same id in each fact."""
    env = {"ZESPAN_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": f"http/{protocol}"}
    assert ran(PROGRAM, facts, backend, env).returncode == 0
    found = facts.read()
    ids = [fact["event_id"] for fact in of("captured", found)]
    assert len(ids) == 2
    settled = of("delivered", found) + of("dropped", found)  # the stand-in for a backend reads no protobuf
    assert sorted(item for fact in settled for item in fact["items"]) == sorted(ids)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"event_id":"one","trace_id":"t"}', "one"),
        (b'{"type": "llm", "id": "two"}', "two"),
        (b'{"traceId":"t","spanId":"b7ad6b7169203331"}', "b7ad6b7169203331"),
        (b'{"spanId":"b7","attributes":[{"key":"zespan.event_id","value":{"stringValue":"three"}}]}', "three"),
        (b"\x12\x50\n\x10" + b"t" * 16 + b'J\x1c\n\x0fzespan.event_id\x12\x06\n\x04four\x12"event_id": "text"', "four"),
        (b'\x12\x50\n\x10"event_id": "text"', None),
        (b"", None),
        (b"{}", None),
    ],
    ids=["Zespan", "Carbon", "a span in JSON", "OTLP JSON", "OTLP protobuf", "OTLP without an id", "nothing", "no id"],
)
def test_identity_of_encoded_events(data: bytes, found: str | None) -> None:
    """The id of an event is found in its bytes, whatever the format."""
    assert identity(data) == found
