"""A test that fails in CI is run again alone, and CI passes only if every such test passes then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """\
import os, pytest
from pathlib import Path

def again():
    \"\"\"Return whether this test runs for the second time.\"\"\"
    try: Path(os.environ["PYTEST_CURRENT_TEST"].partition("::")[2]).touch(exist_ok=False)
    except FileExistsError: return True

def test_that_passes(): pass
"""
FLAKY = "def test_flaky(): assert again()\n"
BROKEN = "def test_broken(): assert False\n"

pytestmark = pytest.mark.slow


def run(folder: Path, tests: str, *arguments: str) -> tuple[int, str]:
    """Run a file of tests in a process of its own. Return the exit code, and what is printed from the second run on."""
    (folder / "test_it.py").write_text(BEGIN + tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = loss: counts events\n")
    process = subprocess.run(
        [sys.executable, "-m", "tools.again", "--quiet", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return process.returncode, process.stdout.partition("These tests have failed.")[2]


def test_a_test_that_passes_alone_is_reported_as_flaky(tmp_path: Path) -> None:
    """The run passes, and says which test did not at first."""
    code, said = run(tmp_path, FLAKY, "-n", "2")
    assert code == 0, said
    assert "FLAKY" in said
    assert said.rstrip().endswith("test_it.py::test_flaky")


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    """Even if another one passes at its second try; each is listed for what it is."""
    code, said = run(tmp_path, FLAKY + BROKEN, "-n", "1")
    assert code == 1
    flaky, _, failed = said.partition("FAILED: these")
    assert flaky.rstrip().endswith("test_it.py::test_flaky")
    assert failed.rstrip().endswith("test_it.py::test_broken")


def test_a_test_that_is_skipped_at_its_second_try_has_not_passed(tmp_path: Path) -> None:
    """Nothing is known about it, so that the run fails."""
    code, said = run(tmp_path, "def test_odd():\n    if again(): pytest.skip()\n    assert False\n")
    assert code == 1
    assert "FAILED: these" in said


@pytest.mark.parametrize(
    ("tests", "arguments"),
    [
        (f"@pytest.mark.loss\n{FLAKY}", []),
        ("".join(f"def test_{number}(): assert again()\n" for number in range(6)), []),
        ("def test_that_ends_its_process():\n    if not again(): os._exit(1)\n", ["-n", "1"]),
        ("assert False\n", []),
        ("", ["--no-such-option"]),
    ],
    ids=["a test of loss", "more than five", "a dead process", "a file without tests", "a wrong option"],
)
def test_some_failures_are_final(tmp_path: Path, tests: str, arguments: list[str]) -> None:
    """A test for which one failure counts, and whatever is not the failure of a few tests: nothing is run again."""
    code, again = run(tmp_path, tests, *arguments)
    assert code
    assert not again


def test_a_run_that_was_stopped_is_not_saved(tmp_path: Path) -> None:
    """A broken test that has not run, because of --maxfail, is not taken for one that passes."""
    code, said = run(tmp_path, FLAKY + BROKEN, "-n", "0", "--maxfail=1")
    assert (code, said) == (1, "")
