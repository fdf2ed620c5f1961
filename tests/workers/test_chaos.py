"""Workers' processes are killed, recycled and cut off while the backend fails: nothing that was captured is lost.

ZESPAN_CHAOS_SEED=7 repeats a run as far as timing allows. `python -m tests.chaos.workers` runs for longer.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos import workers

SEED = os.environ.get("ZESPAN_CHAOS_SEED") or str(random.randrange(10**6))


@pytest.mark.host(seconds=15)
@pytest.mark.loss
@pytest.mark.timeout(300)
@pytest.mark.parametrize("queue", workers.QUEUES)
def test_nothing_captured_is_lost(queue: str, tmp_path: Path) -> None:
    """Whatever ends a process of a worker, every event whose capture has returned arrives, and one of each attempt."""
    found = workers.run(queue, tmp_path, 60, SEED, longest=8)
    told = f"{queue}, seed {SEED}: {found}"
    print(told)  # noqa: T201
    assert found["lost"] == 0, told
    assert found["drops told"].keys() <= {"torn"}, told  # of which no task knew that it was captured
    assert (found["attempts without an event of their own"], found["attempts with several"]) == (0, 0), told
    assert found["attempts"] >= 60
    assert found["captured"] > 60
