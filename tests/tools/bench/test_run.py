"""The comparison, on AWS's emulator, in one round."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import zespan_serverless_dev

from tools.bench import layers, losses, sections, warm
from tools.bench.setting import Setting
from tools.bench.standins import StandIns

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.host(seconds=6),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """Return a setting with the function without telemetry, and with this package, in the tests' environment."""
    monkeypatch.setattr(layers, "python", lambda: Path(sys.executable))
    monkeypatch.setattr(layers, "layer", lambda subject, bytecode=True: ROOT)
    monkeypatch.setattr(layers, "runtime", lambda: Path(zespan_serverless_dev.__file__).parents[1])
    authority, certificate, issuer = tmp_path / "authority.pem", tmp_path / "backend.pem", trustme.CA()
    issuer.cert_pem.write_to_path(str(authority))
    issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with StandIns(certificate) as standins:
        yield Setting(standins, authority, ("bare", "package"), 0.0)


def test_what_arrives_is_counted(setting: Setting) -> None:
    """Over HTTPS, every model call of the package arrives before the freeze; a kill loses none."""
    found = warm.tls(setting)
    assert found["package"]["failed"] == found["bare"]["failed"] == 0
    assert found["package"]["arrived_in_time"] == found["package"]["calls"] == 2
    assert found["bare"]["arrived"] == 0
    assert found["bare"]["response_ms_added"]["median"] == 0
    assert found["package"]["billed_ms"]["median"] > found["package"]["response_ms"]["median"] + 20
    assert "| zespan_serverless | " in sections.SECTIONS["tls"][2](found)
    assert losses.kill(setting)["package"] == {"calls": 1, "arrived": 1, "next_answered": 1}
