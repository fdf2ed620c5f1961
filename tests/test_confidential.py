"""The key goes to the backend, in a header, and nowhere else."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import traceback
from pathlib import Path
from typing import Any, Literal

import pytest

import zespan_serverless
from zespan_serverless import ConfigurationError, testing, zespan_lambda
from zespan_serverless._process import container as _container
from zespan_serverless.settings import Settings, resolve
from zespan_serverless.testing import Backend

KEY = "zsp_live_5up3rs3cr3t"


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> list[str]:
    """All that anybody could read: log records with their fields, reports, representations, files."""
    caplog.set_level(logging.DEBUG)
    return []


def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.getMessage()} {vars(record)}" for record in caplog.records]


@pytest.mark.parametrize("mode", ["ok", "hang", "drop", "refuse", "redirect", 400, 401, 429, 500])
def test_no_log_line_report_or_file_has_the_key(
    mode: Any,
    everything: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the backend does, with the log at its most talkative."""
    with Backend() as backend:
        backend.mode = mode
        monkeypatch.setenv("ZESPAN_API_KEY", KEY)
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        monkeypatch.setenv("ZESPAN_JOURNAL", str(tmp_path / "journal"))
        monkeypatch.setenv("ZESPAN_FALLBACK", str(tmp_path / "parked"))

        @zespan_lambda(
            debug=True,
            flush_timeout=0.1,
            flush_mode="before_return",
            on_error=lambda dropped: everything.append(repr(dropped)),
            on_flush=lambda report: everything.append(repr(report)),
        )
        def handler(event: object, context: object) -> None: ...

        for _ in range(4):
            handler({}, testing.LambdaContext())
        everything.append(repr(zespan_serverless.flush(0.5)))
        container = _container.current()
        assert container is not None
        everything += [repr(container.settings), str(container.settings), repr(container), repr(container.delivery)]
        files = list((tmp_path / "journal").iterdir())
        everything += [file.read_bytes().decode("latin-1") for file in files]
        assert files
        everything += [repr(zespan_serverless.shutdown(0.1)), *_logged(caplog), *capfd.readouterr()]
        everything += [gzip.decompress(file.read_bytes()).decode() for file in tmp_path.glob("parked/*")]
        sent = [request.headers.get("x-api-key") for request in backend.requests if request.path == "/v1/ingest"]
        assert mode == "refuse" or set(sent) == {KEY}
        assert [request.path for request in backend.requests if request.path != "/v1/ingest"] == []  # no redirect taken
    assert len(everything) > 8
    assert not [text for text in everything if KEY in text]


@pytest.mark.parametrize("mode", ["ok", "hang", "drop", "refuse", "redirect", 400, 401, 404, 500])
@pytest.mark.parametrize("exporter", ["otlp", "langfuse", "carbon"])
def test_no_key_of_another_backend_is_shown(
    exporter: Literal["otlp", "langfuse", "carbon"],
    mode: Any,
    everything: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither headers of the settings, nor those of OpenTelemetry's variables, nor a backend's own variables."""
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "CARBON_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={KEY}")
    hidden = (KEY, base64.b64encode(f"{KEY}:{KEY}".encode()).decode())
    with Backend() as backend:
        backend.mode = mode

        @zespan_lambda(
            exporter=exporter,
            base_url=backend.url,
            headers={"x-more": KEY},
            journal=str(tmp_path / "journal"),
            debug=True,
            flush_timeout=0.1,
            flush_mode="before_return",
            on_error=lambda dropped: everything.append(repr(dropped)),
            on_flush=lambda report: everything.append(repr(report)),
        )
        def handler(event: object, context: object) -> None: ...

        for _ in range(4):
            handler({}, testing.LambdaContext())
        everything.append(repr(zespan_serverless.flush(0.5)))
        container = _container.current()
        assert container is not None
        sending = _container.build_exporter(container.settings)
        everything += [repr(container.settings), repr(container.delivery), repr(sending), str(sending)]
        files = list((tmp_path / "journal").iterdir())
        everything += [file.read_bytes().decode("latin-1") for file in files]
        assert files
        everything += [repr(zespan_serverless.shutdown(0.1)), *_logged(caplog), *capfd.readouterr()]
        sent = [request.headers.get("authorization") for request in backend.requests]
        wanted = {"otlp": KEY, "langfuse": f"Basic {hidden[1]}", "carbon": f"Bearer {KEY}"}
        assert mode == "refuse" or set(sent) == {wanted[exporter]}
    assert len(everything) > 8
    assert not [text for text in everything if any(key in text for key in hidden)]


def test_no_mistake_with_the_settings_shows_the_key(everything: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """A key with a line break, in the wrong setting, of the wrong type, for a setting that does not exist."""
    mistakes: list[dict[str, Any]] = [
        {"api_key": KEY + "\n\x00"},
        {"api_key": KEY + "é"},
        {"api_key": KEY.encode()},
        {"api_key": [KEY]},
        {"api_key_secret": KEY},
        {"api_key_secret": [KEY]},
        {"apikey": KEY},
        {"api_keys": KEY},
        {"headers": KEY},
        {"headers": {"authorization": f"{KEY}\n"}},
        {"headers": {f"{KEY}: x": "y"}},
        {"headers": [KEY]},
    ]
    for mistake in mistakes:
        with pytest.raises(ConfigurationError) as caught:
            zespan_serverless.init(**mistake)
        everything.append("".join(traceback.format_exception_only(caught.value)))
        resolve({}, {f"ZESPAN_{name.upper()}": str(value) for name, value in mistake.items()})
    everything += [repr(Settings(api_key=KEY)), f"{Settings(api_key=KEY)}", *_logged(caplog)]
    assert len(everything) > len(mistakes)
    assert not [text for text in everything if KEY in text]


def test_a_warning_of_drops_has_fields_where_the_log_is_json(caplog: pytest.LogCaptureFixture) -> None:
    """Lambda's JSON has what stands beside the message: reason and number, for alarms; once for all that follow."""
    with Backend() as backend:
        backend.mode = 401
        zespan_serverless.init(base_url=backend.url, api_key=KEY)
        for _ in range(3):
            zespan_serverless.capture({"operation": "x"})
            zespan_serverless.flush(5)
    hint = f"for the key ending in {KEY[-4:]}: pass a valid one as api_key, or set ZESPAN_API_KEY instead"
    detail = f"HTTP 401 from {backend.url} {hint}"
    said = [record for record in caplog.records if "dropped" in record.getMessage()]
    assert [(vars(r)["reason"], vars(r)["detail"], vars(r)["events"]) for r in said] == [("unauthorized", detail, 1)]
    formatter = pytest.importorskip("awslambdaric.lambda_runtime_log_utils").JsonFormatter()
    said[0].aws_request_id = "r"
    line = json.loads(formatter.format(said[0]))
    assert (line["level"], line["reason"], line["events"]) == ("WARNING", "unauthorized", 1)
