"""The comparison, on AWS's emulator, in one round."""

from __future__ import annotations

import sys

import pytest

from tools.bench import losses, sections, warm
from tools.bench.setting import Setting

pytestmark = [
    pytest.mark.host(seconds=6),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]


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
