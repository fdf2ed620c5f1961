"""`doctor --live`: one real event over real sockets, and what each step says when something is wrong."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from zespan_serverless_dev.doctor import live

from tests.http.support import Proxy
from zespan_serverless.cli import main
from zespan_serverless.testing import Backend

KEY = "zsp_live_5up3rs3cr3t9"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_API_KEY", KEY)
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        yield backend


def check(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and each step of the last destination."""
    code = main(["doctor", "--live", "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "1"
    return code, {step["name"]: step for step in report["steps"]}


def statuses(steps: dict[str, Any]) -> dict[str, str]:
    return {name: step["status"] for name, step in steps.items()}


def test_live_sends_one_event_and_times_each_step(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """One event arrives with the key, and each step has its time; at most the key's end is shown."""
    assert main(["doctor", "--live"]) == 0
    (event,) = backend.wait_for(1)
    output = capsys.readouterr().out
    assert event["operation"] == "zespan-serverless doctor"
    assert f"{event['event_id']} was accepted" in output
    assert backend.requests[0].headers["x-api-key"] == KEY
    assert "the key ending in r3t9" in output
    assert KEY not in output
    assert [line.split()[::2][0] for line in output.splitlines()] == [
        "OK",
        "SKIP",
        "OK",
        "OK",
        "SKIP",
        "OK",
        "OK",
        "OK",
    ]


@pytest.mark.parametrize(
    ("mode", "failed"),
    [
        (401, {"key", "event"}),
        (400, {"event"}),
        (500, {"event"}),
        (404, {"event"}),
        ("drop", {"event"}),
        ("refuse", {"tcp"}),
    ],
)
def test_a_failing_step_is_reported(
    mode: Any, failed: set[str], backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step that fails is FAIL, and the exit code 1; a key that is refused is named by its end only."""
    backend.mode = mode
    code, steps = check(capsys)
    assert code == 1
    assert {name for name, step in steps.items() if step["status"] == "FAIL"} == failed
    assert KEY not in json.dumps(steps)
    if mode == 401:
        assert "for the key ending in r3t9: set ZESPAN_API_KEY to a valid one" in steps["key"]["detail"]
    if mode == "refuse":
        assert steps["event"]["status"] == "SKIP"


def test_backend_that_hangs_ends_with_the_patience(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step fails, and the command ends."""
    monkeypatch.setattr(live, "PATIENCE", 0.5)
    backend.mode = "hang"
    code, steps = check(capsys)
    assert (code, steps["event"]["status"]) == (1, "FAIL")


def test_slow_backend_is_warned_of(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush would not have had the time."""
    monkeypatch.setenv("ZESPAN_FLUSH_TIMEOUT", "0.05")
    backend.latency = 0.2
    code, steps = check(capsys)
    assert (code, steps["event"]["status"], steps["in all"]["status"]) == (0, "OK", "WARN")
    assert "flush_timeout=0.05 s: raise that" in steps["in all"]["detail"]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_live_reports_the_certificate_and_fails_at_an_untrusted_one(
    is_trusted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version and expiry of the certificate are reported; with an untrusted one nothing further is tried."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Backend(tls=context) as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url.replace("127.0.0.1", "localhost"))
        code, steps = check(capsys)
        assert len(backend.events) == (1 if is_trusted else 0)
    assert code == (0 if is_trusted else 1)
    if is_trusted:
        assert steps["tls"]["detail"].startswith("TLSv1.")
        assert "valid until" in steps["tls"]["detail"]
    else:
        expected = {"settings": "OK", "proxy": "SKIP", "dns": "OK", "tcp": "OK", "tls": "FAIL", "event": "SKIP"}
        assert statuses(steps) == expected


def test_live_times_the_connection_to_the_proxy(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that is timed is that to the proxy, and the event goes through it."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Proxy("user:s3cr3t") as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:s3cr3t@{proxy.address}")
        assert main(["doctor", "--live"]) == 0
        output = capsys.readouterr().out
        assert f"proxy                   {proxy.address}" in output
        assert "s3cr3t" not in output
        assert proxy.asked == [f"POST {backend.url}/v1/ingest"]


def test_name_that_does_not_exist(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The step `dns` fails."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("ZESPAN_ENABLED", "1")
    monkeypatch.setenv("ZESPAN_BASE_URL", "https://telemetry.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    code, steps = check(capsys)
    assert code == 1
    assert statuses(steps)["dns"] == "FAIL"
    assert "tcp" not in steps


def test_address_that_cannot_be_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure, although telemetry is then off; a password in it is not shown."""
    monkeypatch.setenv("ZESPAN_BASE_URL", "https://user:s3cr3t@telemetry.example.com")
    code, steps = check(capsys)
    assert code == 1
    assert "put the key into api_key" in steps["settings"]["detail"]
    assert "s3cr3t" not in json.dumps(steps)


@pytest.mark.parametrize("exporter", ["otlp", "langfuse", "carbon"])
def test_live_uses_each_exporter_s_address_and_variables(
    exporter: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is the exporter's own, and so are the variables that are missing."""
    with Backend(decode=lambda body: [{"bytes": len(body)}]) as backend:
        variables = {
            "otlp": {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url},
            "langfuse": {"LANGFUSE_PUBLIC_KEY": "pk-1", "LANGFUSE_SECRET_KEY": KEY, "LANGFUSE_BASE_URL": backend.url},
            "carbon": {"CARBON_API_KEY": KEY, "ZESPAN_BASE_URL": backend.url},
        }[exporter]
        monkeypatch.setenv("ZESPAN_EXPORTER", exporter)
        monkeypatch.setenv("ZESPAN_ENABLED", "1")
        if exporter != "otlp":
            code, steps = check(capsys)
            assert code == 1
            assert steps["settings"]["status"] == "FAIL"
            assert next(iter(variables)) in steps["settings"]["detail"]
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code, steps = check(capsys)
        assert code == 0, steps
        assert steps["settings"]["detail"].startswith(f"to {backend.url}")
        assert len(backend.events) == 1
        assert KEY not in json.dumps(steps)


def test_live_checks_every_destination(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each destination is checked, even after one that fails."""
    monkeypatch.setenv("ZESPAN_EXPORTER", "langfuse,zespan,console")
    assert main(["doctor", "--live", "--format", "json"]) == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    last = {step["destination"]: (step["name"], step["status"]) for step in steps}
    assert last == {"langfuse": ("settings", "FAIL"), "zespan": ("in all", "OK"), "console": ("settings", "SKIP")}


def test_store_is_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store in place of a backend has no connection to check; the event is stored there."""
    monkeypatch.setenv("ZESPAN_EXPORTER", f"file://{tmp_path}/parked")
    code, steps = check(capsys)
    assert (code, steps["event"]["status"]) == (0, "OK")
    assert any(path.is_file() for path in (tmp_path / "parked").rglob("*"))


@pytest.mark.parametrize(("variable", "value"), [("ZESPAN_ENABLED", "0"), ("ZESPAN_EXPORTER", "console")])
def test_nothing_to_send_to(
    variable: str, value: str, backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 3, and nothing is sent."""
    monkeypatch.setenv(variable, value)
    code, steps = check(capsys)
    assert (code, statuses(steps)) == (3, {"settings": "SKIP"})
    assert backend.requests == []
