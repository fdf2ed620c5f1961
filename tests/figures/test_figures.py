"""The smallest run of `python -m tests.figures`: of a task queue, and of a runtime of agents."""

from __future__ import annotations

import sys

import pytest

from tests import environments
from tests.figures.__main__ import counted, main, table
from tests.figures.measured import HOSTS, Agent, Found, added

pytestmark = pytest.mark.host(seconds=12)


def test_table_of_a_queue() -> None:
    """RQ's processes lose what the official SDK would send later, and nothing of this package's."""
    rq = HOSTS["rq"]
    *_, sdk, flushed, package = table(rq, counted([rq], 2), {"package": [3.0, 1.0, 2.0]}).splitlines()
    assert sdk in [f"| official SDK | {arrived} of 2 | not measured |" for arrived in (0, 1)]  # 1 if a job takes 2 s
    assert flushed == "| official SDK, `flush()` after each model call | 2 of 2 | not measured |"
    assert package == "| `ZespanWorker` | 4 of 4 | 2.0 (1.0 to 3.0) |"


def test_more_arrives_of_an_agent() -> None:
    """A sandbox of Foundry's that is suspended after each of two responses sends more with this package than without;
    the time of a response is compared with that of an untraced one."""
    foundry = HOSTS["foundry"]
    assert isinstance(foundry, Agent)
    (ending,) = foundry.endings
    before, after = (foundry.run(how, ending, 2, pause=0) for how in ("sdk", "package"))
    assert (before.captured, after) == (2, Found(4, 4))
    assert before.arrived < before.captured
    only_package = foundry._replace(ways={"package": foundry.ways["package"]})
    assert [len(times) for times in added(only_package, 1, 1).values()] == [1]


def test_what_is_missing_is_named_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command installs what all hosts need, and nobody waits for minutes to read it."""
    monkeypatch.setattr(sys, "argv", ["figures"])
    monkeypatch.setattr(environments, "python_of", lambda group, name: None)
    monkeypatch.setattr("tests.figures.__main__.added", lambda *args: pytest.fail("it measures"))
    with pytest.raises(SystemExit):
        main()
    missing = "not installed: agentcore, foundry, queues. Type: python -m tests.environments agents workers\n"
    assert capsys.readouterr().err.endswith(missing)
