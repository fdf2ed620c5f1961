"""The simulation behind the figures of docs/parking.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.mark.slow
def test_a_fleet_with_a_fallback_loses_nothing_in_an_outage(tmp_path: Path) -> None:
    """Without one it loses what sandboxes take along that are replaced; in both cases every event is accounted for."""
    image = tmp_path / "fleet.svg"
    command = [sys.executable, "-m", "tools.fleet", "--sandboxes", "40", "--processes", "1", "--plot", str(image)]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    rows = [re.findall(r"[^|\s][^|]*(?= \|)", line) for line in asked.stdout.splitlines()[2:]]
    (bare, *without), (kept, *with_one) = ([row[0], *(int(n.replace(",", "")) for n in row[1:5])] for row in rows)
    assert (bare, kept) == ("no", "yes")
    captured, delivered, parked, lost = without
    assert lost > 0 == parked
    assert captured == delivered + lost
    captured, delivered, parked, lost = with_one
    assert parked > 0 == lost
    assert captured == delivered + parked
    assert image.read_text().startswith("<svg")
