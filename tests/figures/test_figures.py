"""The smallest run of `python -m tests.figures`: of a task queue, and of a runtime of agents."""

from __future__ import annotations

import pytest

from tests.figures.__main__ import table
from tests.figures.measured import HOSTS, Agent, Found, Queue

pytestmark = pytest.mark.host(seconds=8)


def test_table_of_a_queue() -> None:
    """RQ's processes lose what the official SDK would send later, and nothing of this package's."""
    rq = HOSTS["rq"]
    assert isinstance(rq, Queue)
    *_, sdk, flushed, package = table(rq, 2, 0, 0).splitlines()
    assert sdk in [f"| sdk | {arrived} of 2 | not measured |" for arrived in (0, 1)]  # 1 if a job takes two seconds
    assert flushed == "| sdk flush | 2 of 2 | not measured |"
    assert package == "| package | 4 of 4 | not measured |"


def test_more_arrives_of_an_agent() -> None:
    """A sandbox of Foundry's that is suspended after each of two responses sends more with this package than without;
    the time of a response is compared with that of an untraced one."""
    foundry = HOSTS["foundry"]
    assert isinstance(foundry, Agent)
    (ending,) = foundry.endings
    before, after = (foundry.lose(how, ending, 2, pause=0) for how in ("sdk", "package"))
    assert (before.captured, after) == (2, Found(4, 4, 0))
    assert before.arrived < before.captured
    assert len(foundry.differences("package", 1, 1)) == 1
