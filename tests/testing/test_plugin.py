"""The plugin of pytest, in runs of pytest in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import ROOT
from tests.testing.sessions import Session, session
from zespan_serverless.testing import plugin

pytestmark = pytest.mark.slow(seconds=0.5)

PASSING = """
def test_list(zespan_events, lambda_context):
    assert handler({}, lambda_context()) == {"ok": True}
    assert [event["operation"] for event in zespan_events] == ["look up", "answer"]
    assert len(zespan_events) == 2
    assert zespan_events[-1]["environment"] == zespan_events[:2][1]["environment"] == "production"
    assert zespan_events == [*zespan_events]
    assert zespan_events != []
    assert repr(zespan_events).startswith("[{'event_id':")

def test_list_is_that_of_this_test(zespan_events):
    assert zespan_events == []

def test_outside_of_an_invocation(zespan_events):
    with span("helper"):
        pass
    assert [event["operation"] for event in zespan_events] == ["helper"]

@pytest.mark.zespan(environment="staging", service_name="outer")
class TestMarkers:
    @pytest.mark.zespan(service_name="inner")
    def test_closest_marker_prevails(self, zespan_events, lambda_context):
        handler({}, lambda_context())
        assert (zespan_events[-1]["operation"], zespan_events[-1]["environment"]) == ("inner", "staging")

def test_backend(zespan_backend, lambda_context):
    handler({}, lambda_context())
    assert [event["operation"] for event in zespan_backend.wait_for(2)] == ["look up", "answer"]

def test_backend_of_a_process(zespan_backend):
    elsewhere = "from zespan_serverless import _process, init\\ninit(base_url='https://example.com')"
    elsewhere += "\\nassert _process.current() is None"
    subprocess.run([sys.executable, "-c", elsewhere], check=True)
    program = "from zespan_serverless import capture, init\\nwith init(): capture({'operation': 'there'})"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert zespan_backend.wait_for(1)[0]["operation"] == "there"

def test_list_and_backend(zespan_events, zespan_backend, lambda_context):
    handler({}, lambda_context())
    assert (len(zespan_events), zespan_backend.events) == (2, [])

def test_call(zespan_events):
    capture({"operation": "chat", "model": "gpt-4o", "input_tokens": 1200, "output_tokens": 34, "cost_usd": 0.25})

@pytest.mark.zespan
class TestOfUnittest(unittest.TestCase):
    def test_method(self):
        capture({"operation": "x"})

@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.zespan(environment="two"))])
def test_marker_of_a_parameter(number, lambda_context):
    handler({}, lambda_context())
    assert bool(_process.current()) == (number == 2)

@pytest.mark.zespan(allow_waiting=True)
def test_waiting_is_allowed(lambda_context):
    handler({}, lambda_context(timeout=0.1))

@pytest.mark.zespan(allow_waiting=True)
def test_waiting_for_a_backend_is_allowed(zespan_backend, lambda_context):
    zespan_backend.mode = "refuse"
    handler({}, lambda_context())

@pytest.mark.zespan(allow_drops=True)
def test_drop_is_allowed(zespan_backend, lambda_context):
    zespan_backend.mode = 400
    handler({}, lambda_context())
"""

FAILING = """
def test_no_time(zespan_events, lambda_context):
    handler({}, lambda_context(timeout=0.1))

def test_two_functions(zespan_events, lambda_context):
    handler({}, lambda_context(timeout=0.1))
    zespan_lambda(handler.__wrapped__)({}, lambda_context())

@pytest.mark.zespan(max_events=1)
def test_drop():
    capture({"operation": "first"})
    capture({"operation": "second"})

def test_nested(zespan_events):
    from zespan_serverless import testing
    with testing.recording(max_events=1):
        capture({"operation": "first"})
        capture({"operation": "second"})

def test_closed(zespan_events, lambda_context):
    handler({}, lambda_context())
    shutdown()
    capture({"operation": "late"})

def test_refused(zespan_backend, lambda_context):
    zespan_backend.mode = 400
    handler({}, lambda_context())

def test_away(zespan_backend, lambda_context):
    zespan_backend.mode = "refuse"
    handler({}, lambda_context())

def test_never_flushed(zespan_backend):
    init()
    capture({"operation": "by hand"})

def test_model(zespan_backend):
    init()
    capture({"model": "m", "input_tokens": 3, "output_tokens": 4})

def test_wrong(zespan_events, lambda_context):
    handler({}, lambda_context(timeout=0.1))
    assert zespan_events == []
"""

BAD_MARKERS = """
@pytest.mark.zespan(store_prompt=False)
def test_name(): pass

@pytest.mark.zespan(allow_drop=True)
def test_allowance(): pass

@pytest.mark.zespan(flush_timeout="1")
def test_type(zespan_backend): pass

@pytest.mark.zespan(allow_drops=1)
def test_no_bool(): pass

@pytest.mark.zespan(True)
def test_position(): pass

@pytest.mark.zespan(user_id=lambda event: "ada")
def test_reader(): pass
"""


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return session(tmp_path_factory.mktemp("passing"), PASSING, "--zespan-report")


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return session(tmp_path_factory.mktemp("failing"), FAILING)


def names(source: str) -> list[str]:
    found: list[str] = re.findall(r"def (test_\w+)", source)
    return found


@pytest.mark.parametrize("name", names(PASSING))
def test_correct_tests_of_functions_pass(passing: Session, name: str) -> None:
    """Each of these correct tests of a function passes."""
    found = [outcome for test, outcome in passing.outcomes.items() if re.search(rf"\b{name}\b", test)]
    assert set(found) == {"PASSED"}, passing.output


@pytest.mark.parametrize(
    ("name", "said", "allowed"),
    [
        ("no_time", "look up: waiting, no_time (the invocation had no time left for a flush)", "allow_waiting=True"),
        ("two_functions", "answer: waiting, no_time (", "allow_waiting=True"),
        ("drop", "first: dropped, buffer_full (", "allow_drops=True"),
        ("nested", "first: dropped, buffer_full (", "allow_drops=True"),
        ("closed", "late: dropped, closed (captured after shutdown()", "allow_drops=True"),
        ("refused", "look up: dropped, refused (HTTP 400 from http://127.0.0.1:", "allow_drops=True"),
        ("away", "look up: waiting, breaker_open (recent attempts to reach", "allow_waiting=True"),
        ("never_flushed", "by hand: waiting, nothing has flushed since it was captured", "allow_waiting=True"),
    ],
)
def test_what_does_not_arrive_fails_the_test(failing: Session, name: str, said: str, allowed: str) -> None:
    """The message says which events, why, and how to allow it, and draws the events."""
    assert failing.outcomes[f"test_{name}"] == "ERROR"
    text = failing.section(f"ERROR at teardown of test_{name}")
    assert f"\n    {said}" in text
    assert re.search(r"^    \d\d:\d\d:\d\d\.\d{3} ", text, re.MULTILINE)
    assert text.count(f"If the test is about that: @pytest.mark.zespan({allowed})") == 1


def test_each_event_is_drawn_once(failing: Session) -> None:
    """Those that have arrived late, too."""
    text = failing.section("ERROR at teardown of test_no_time")
    assert text.startswith("\n2 events of this test did not arrive:\n")
    assert [text.count(name) for name in ("look up", "answer")] == [2, 2]  # each once in the list


def test_a_test_that_fails_shows_its_events(failing: Session) -> None:
    """They are part of its report, with what has not arrived, which is no second failure."""
    assert failing.outcomes["test_wrong"] == "FAILED"
    text = failing.section("test_wrong")
    assert "Telemetry of the test" in text
    assert "look up: waiting, no_time" in text
    assert "└─ look up" in text
    assert "ERROR at teardown of test_wrong" not in failing.output


def test_mistakes_in_the_marker(tmp_path: Path) -> None:
    """Each is an error of its test, before it runs, and says what to write instead."""
    run = session(tmp_path, BAD_MARKERS)
    assert run.outcomes == dict.fromkeys(names(BAD_MARKERS), "ERROR")
    for said in (
        "unknown setting 'store_prompt', did you mean 'store_prompts'?",
        "unknown setting 'allow_drop', did you mean 'allow_drops'?",
        "flush_timeout must be a number, not '1'",
        "allow_drops must be True or False, not 1",
        "settings go by keyword, not True",
        "the marker takes no user_id",
    ):
        assert f"\n@pytest.mark.zespan: {said}" in run.output, run.output


def test_the_report_has_a_line_per_test(passing: Session) -> None:
    """The report has a line per recorded test, and the sums."""
    table = passing.output.split(" telemetry of ")[1]
    assert re.search(r"::test_list +2 +2 +0 +0 +0 +0 +\$0\.0000\n", table)
    assert re.search(r"::test_drop_is_allowed +2 +0 +0 +2 +0 +0 +\$0\.0000\n", table)
    assert re.search(r"::test_backend_of_a_process +1 +1 +0 +0 ", table)
    assert re.search(r"::test_call +1 +1 +0 +0 +1 +1,234 +\$0\.2500\n", table)
    assert re.search(r"^total +20 +14 +4 +2 +1 +1,234 +\$0\.2500$", table, re.MULTILINE)


def test_nothing_is_sent_from_tests(tmp_path: Path) -> None:
    """With a key in the environment or in code, in workers of xdist, while they are collected, and in processes that a
    test starts, telemetry is off. It is on if requested."""
    run = session(
        tmp_path,
        """
        def is_on(program=""):
            program += "import zespan_serverless; zespan_serverless.init()"
            program += "; from zespan_serverless import _process; print(_process.current() is not None)"
            return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip()

        init(api_key="zsp_in_code")
        from zespan_serverless import _process
        WHILE_COLLECTED = _process.current()

        @pytest.mark.parametrize("number", range(2))
        def test_off(number, lambda_context, caplog):
            handler({}, lambda_context())
            assert WHILE_COLLECTED is None
            assert _process.current() is None
            assert caplog.records == []

        def test_off_in_a_process():
            assert is_on() == "False"

        def test_on_in_a_process_that_asks():
            assert is_on("import os; os.environ['ZESPAN_ENABLED'] = '1'; ") == "True"
        """,
        *("-n", "1"),
        plugins="xdist",
        environment={"ZESPAN_API_KEY": "zsp_in_the_shell"},
    )
    assert set(run.outcomes.values()) == {"PASSED"}, run.output
    assert len(run.outcomes) == 4


def test_results_of_xdist_workers_are_complete(tmp_path: Path) -> None:
    """Losses, events of failed tests and the table come from the workers."""
    run = session(tmp_path, FAILING, "-n", "1", "--zespan-report", plugins="xdist")
    assert run.outcomes["test_no_time"] == "ERROR"
    assert "└─ look up" in run.section("test_wrong")
    assert re.search(r"^total +\d+ ", run.output, re.MULTILINE)
    assert re.search(r"test_model +1 +0 +1 +0 +1 +7 ", run.output), "a call counts, whether or not its event arrives"


def test_where_no_sandbox_can_run(tmp_path: Path) -> None:
    """Without the developers' tools the error says what to install; without the emulator the test is skipped."""
    run = session(
        tmp_path,
        """
        from zespan_serverless.testing import _fixtures
        from zespan_serverless_dev.emulator import binary, fixture

        @pytest.fixture
        def without_tools(monkeypatch):
            monkeypatch.setattr(_fixtures, "entry_points", lambda **_: ())

        @pytest.fixture
        def on_a_mac(monkeypatch):
            monkeypatch.setattr("sys.platform", "darwin")

        def test_without_tools(without_tools, lambda_sandbox): pass

        def test_on_a_mac(on_a_mac, lambda_sandbox): pass
        """,
        environment={"ZESPAN_RIE": ""},
    )
    assert run.outcomes["test_without_tools"] == "ERROR"
    said = "the fixture lambda_sandbox comes with: pip install ./dev in a checkout"
    assert said in run.section("ERROR at setup of test_without_tools")
    assert re.search(r"SKIPPED .*: AWS builds its Lambda emulator for Linux .*; this is darwin", run.output)


def test_a_run_without_telemetry_pays_nothing() -> None:
    """The plugin imports nothing but the empty front rooms, whatever fixtures it offers."""
    script = """
        import sys, pytest
        before = set(sys.modules)
        import zespan_serverless.testing.plugin
        print(sorted(set(sys.modules) - before))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=ROOT)
    rooms = ["", "._version", ".testing", ".testing.plugin"]
    assert done.stdout.strip() == str([f"zespan_serverless{room}" for room in rooms])


def test_pytest_does_not_rewrite_the_package(pytestconfig: pytest.Config) -> None:
    """Where it is installed from a wheel, pytest would; only the tests for exporters are rewritten."""
    manager: Any = pytestconfig.pluginmanager
    assert isinstance(manager.rewrite_hook._must_rewrite, set), "pytest has another name for it"
    marked = SimpleNamespace(_must_rewrite={"zespan_serverless", "another"})
    plugin.keep_as_it_is(marked)
    assert marked._must_rewrite == {"zespan_serverless.testing", "another"}


def test_pytest_finds_the_plugin_and_the_sandboxes() -> None:
    """Both distributions say where they are."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert ours["pytest11"] == {"zespan_serverless": "zespan_serverless.testing.plugin"}
    theirs = tomllib.loads((ROOT / "dev" / "pyproject.toml").read_text())["project"]["entry-points"]
    assert theirs["zespan_serverless.fixtures"] == {
        "lambda_sandbox": "zespan_serverless_dev.emulator.fixture:sandboxes",
    }
