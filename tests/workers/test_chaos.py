"""Workers' processes are killed, recycled and cut off while the backend fails: nothing that was captured is lost.

ZESPAN_CHAOS_SEED=7 repeats a run as far as timing allows. `python -m tests.chaos.workers` runs for longer.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import workers

SEED = os.environ.get("ZESPAN_CHAOS_SEED") or str(random.randrange(10**6))


def found_by(queue: str, folder: Path, *, has_disk: bool) -> tuple[dict[str, Any], str]:
    """Run 60 tasks of a queue. Returns what came of them, as a dict and as a text."""
    found = workers.run(queue, folder, 60, SEED, longest=8, has_disk=has_disk)
    told = f"{queue}, seed {SEED}: {found}"
    print(told)  # noqa: T201
    assert found["lost"] == 0, told
    assert found["attempts with several"] == 0, told
    assert found["attempts"] >= 60
    assert found["captured"] > 60
    return found, told


@pytest.mark.host(seconds=15)
@pytest.mark.loss
@pytest.mark.timeout(300)
@pytest.mark.parametrize("queue", workers.QUEUES)
def test_nothing_captured_is_lost(queue: str, tmp_path: Path) -> None:
    """Whatever ends a process of a worker, every event whose capture has returned arrives, and one of each attempt."""
    found, told = found_by(queue, tmp_path, has_disk=True)
    assert found["arrived"] == found["captured"], told
    assert found["drops told"].keys() <= {"torn"}, told  # of which no task knew that it was captured
    assert found["attempts without an event of their own"] == 0, told


@pytest.mark.host(seconds=15)
@pytest.mark.loss
@pytest.mark.timeout(300)
def test_what_is_lost_without_a_disk_is_counted(tmp_path: Path) -> None:
    """Without a journal every event arrives, or on_error is told of it, unless its process was killed."""
    found, told = found_by("rq", tmp_path, has_disk=False)
    assert found["drops told"].keys() <= {"closed"}, told
