"""The comparison in the tests' environment, with two of its subjects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import zespan_serverless_dev

from tools.bench import layers
from tools.bench.setting import Setting
from tools.bench.standins import StandIns

ROOT = Path(__file__).parents[3]


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
