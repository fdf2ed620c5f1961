"""What `init --write` makes runs: every handler under AWS's emulator, with its events delivered."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.invoke.plan import Plan
from zespan_serverless_dev.invoke.running import exit_code
from zespan_serverless_dev.invoke.session import Session
from zespan_serverless_dev.invoke.template import function_of

from tests.dev.init.command import init
from tests.dev.init.test_projects import PAGES, project

HANDLERS = {
    "sam": ["hello_world app.lambda_handler"],
    "sam_several": ["src shop.api.handler", "src shop.worker.handler"],
    "cloudformation": ["src app.handler"],
    "serverless": [". handler.hello"],
    "terraform": ["chat app.handler", "chat worker.handler"],
    "mangum": [". main.handler"],
}
"""By page, the folder and the handler of each function."""


@pytest.mark.host(seconds=10)
@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_functions_run_and_their_events_arrive(tmp_path: Path) -> None:
    """A call of each function sends the event of its invocation, and none is lost."""
    plans = []
    for page in PAGES:
        root, _, _ = project(page, tmp_path / page.stem)
        known = [each for each in read(root).functions if each.host == "aws_lambda" and page.stem != "left"]
        if page.stem in HANDLERS:
            assert init(root, "--write").code == 0
            for code, handler in map(str.split, HANDLERS[page.stem]):
                plans.append(Plan(handler, root / code, payload={}, memory=10_240))
        else:
            assert known == []
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda plan: Session(plan, lambda *_: None, lambda _: None).run(), plans))
    for plan, result in zip(plans, results, strict=True):
        assert result.ledger.sums()["delivered"] >= 1, plan
        assert result.ledger.sums()["lost"] == 0, plan
        assert exit_code(result) in (0, 3), plan


@pytest.mark.host(seconds=3)
@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_the_template_that_was_changed_is_one(tmp_path: Path) -> None:
    """`invoke --template` reads the template of AWS's starter, and the function answers as before."""
    root, _, _ = project(next(page for page in PAGES if page.stem == "sam"), tmp_path)
    init(root, "--write")
    plan = function_of(root / "template.yaml", None, None)
    assert plan.env == {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}
    assert plan.timeout == 30
    result = Session(replace(plan, payload={}, memory=10_240), lambda *_: None, lambda _: None).run()
    assert exit_code(result) == 0
    assert result.ledger.sums()["delivered"] == 1
