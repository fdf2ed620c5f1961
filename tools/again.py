"""python -m tools.again: run pytest, and run the few tests that failed once more, without parallel processes.

Takes pytest's arguments. On a busy machine, one test in ten thousand fails because of what runs beside it. If it passes
when it is alone, it is reported as flaky, to be mended, and does not stop a merge.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

MOST = 5
"""If more tests fail, the reason is not the machine."""

ONE_IS_ENOUGH = {"loss", "hypothesis"}
"""Markers of tests for which one failure counts: those that look for a rare loss, and those with random examples."""


class Outcomes:
    """A pytest plugin that notes how each test ends. In parallel runs it works in the process that controls them."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.final = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
            crashed = report.when not in {"setup", "call", "teardown"}  # a process that ran tests has died
            self.final |= crashed or not ONE_IS_ENOUGH.isdisjoint(report.keywords)
        elif report.passed and report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.final |= report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.final |= bool(session.shouldfail or session.shouldstop)  # other tests have not run


def main(arguments: list[str]) -> int:
    """Return pytest's exit code, or 0 if only tests failed that pass when they run again."""
    first = Outcomes()
    code = int(pytest.main(arguments, plugins=[first]))
    if code != pytest.ExitCode.TESTS_FAILED or first.final or not 1 <= len(first.failed) <= MOST:
        return code
    _say("These tests have failed. Each is run again, without parallel processes:", first.failed)
    second = Outcomes()
    options = [argument for argument in arguments if argument == "--leaks"]
    again = int(pytest.main([*options, "-n", "0", *sorted(first.failed)], plugins=[second]))
    mended = first.failed & (second.passed - second.failed)
    _say("FLAKY: these tests failed beside others and passed alone. Please mend them:", mended)
    _say("FAILED: these tests did not pass alone either:", first.failed - mended)
    return again if mended == first.failed else code


def _say(what: str, tests: Iterable[str]) -> None:
    if tests:
        print("", what, *(f"    {test}" for test in sorted(tests)), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
