"""The tables and the picture that the results of the comparison become."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tools.bench import page, plot, results, sections
from tools.bench.figures import compared
from tools.bench.subjects import BARE, FLOOR, SUBJECTS

NAMES = [BARE, *plot.SHOWN]
COUNTED = {
    "calls": 10,
    "answered": 9,
    "arrived": 8,
    "arrived_in_time": 7,
    "next_answered": 6,
    "slowest_response_ms": 61.0,
    "billed_ms": 700,
    "after_calls": 3,
    "after_arrived": 3,
    "first_billed_ms": 120.0,
    "response_ms_p99_added": 1.5,
    "python": 4000,
    "python_added": 600,
    "c": 3000,
    "c_added": 500,
    "cpu_added_ms": 0.25,
    "p50_added_ms": 0.5,
    "p99_added_ms": 2.5,
}


def parts() -> dict[str, Any]:
    """Return results in which each subject takes 10 ms longer than the one before."""
    measures = ("init_ms", "first_ms", "cpu_ms", "memory_mb", "response_ms", "billed_ms", "piece_us")
    rounds: dict[str, list[dict[str, float]]] = {
        name: [dict.fromkeys(measures, 50.0 + 10 * number + turn) for turn in range(3)]
        for number, name in enumerate(NAMES)
    }
    found = {name: {**figures, **COUNTED} for name, figures in compared(rounds, BARE).items()}
    whole: dict[str, Any] = dict.fromkeys(sections.SECTIONS, found)
    whole |= {"calls": {"1": found, "10": found}, "web": {"uvicorn": {"64": found}}}
    billed = {"bare": 51.0, FLOOR: 61.0, "package": 71.0}
    whole["quotas"] = {"128": {name: {**found[BARE], "billed_ms": {"median": billed[name]}} for name in billed}}
    whole["events"] = {"1000": {"captured": 5000, "arrived": 4990, "dropped": 10, "requests": 90, "cpu_us": 36.0}}
    return whole | {"memory": {name: {"memory_mb": {"1000": 60.0, "10000": 60.5}} for name in NAMES}}


def document() -> dict[str, Any]:
    """Return a document of results with every part."""
    machine = {"cpu": "Test", "cores": 2, "system": "Linux", "python": "3.11.0", "load": 0.0}
    return {"day": "2026-01-31", "machine": machine, "versions": {"openai": "3"}, "parts": parts()}


def test_a_difference_is_that_to_the_same_round() -> None:
    """The median of the differences in each round, not the difference of the medians."""
    rounds = {BARE: [{"ms": 1.0}, {"ms": 100.0}, {"ms": 3.0}], "package": [{"ms": 2.0}, {"ms": 101.0}, {"ms": 9.0}]}
    found = compared(rounds, BARE)["package"]
    assert found["ms_added"]["median"] == 1.0
    assert found["ms"]["median"] == 9.0


def test_each_part_is_a_section_with_a_row_for_each_subject() -> None:
    """The page has the machine, the versions, and a table for each part; without results it says how to get them."""
    shown = page.render({"3.11": document()})
    assert shown.startswith("Measured on 2026-01-31, on 2 cores (Test), Linux, Python 3.11.0.")
    assert shown.count("\n### ") == len(sections.SECTIONS) + 1
    cold = shown.partition("### Cold start\n")[2].partition("###")[0]
    assert [line.split(" | ")[0].strip("| ") for line in cold.splitlines() if " (" in line or "no tele" in line] == [
        SUBJECTS[name].label for name in NAMES
    ]
    assert "| zespan_serverless | 10 (10 to 10) | 10 (10 to 10) | 10 (10 to 10) | 10.0 (10.0 to 10.0) |" in cold
    assert "| no telemetry | 4000 | 3000 |" in shown
    assert "| zespan_serverless | 600 | 500 |" in shown
    assert "uvicorn, 64 at once:" in shown
    assert "| zespan_serverless | 0.25 | 0.5 | 2.5 | 61.0 | 8 of 10 |" in shown
    assert "| 1,000 | 5000 | 4990 | 10 | 90 | 36 |" in shown
    assert "| zespan_serverless | 60.0 | 60.5 |" in shown
    assert "| 128 MB | 51.0 | 61.0 | 71.0 | +16 % |" in shown
    assert "make bench" in page.render({})


def test_the_picture_is_an_svg_for_light_and_dark_pages() -> None:
    """It is well-formed, with a description, colours for both themes, and all bars inside their panel."""
    text = plot.svg(parts())
    root = ElementTree.fromstring(text)
    assert root.find("{*}desc") is not None
    assert "prefers-color-scheme: dark" in text
    bars = [bar for bar in root.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class")]
    assert len(bars) == len(plot.PANELS) * len(plot.SHOWN)
    panels = {float(panel.left): float(panel.right) for panel in plot.PANELS}
    for bar in bars:
        left = float(bar.get("x", 0))
        assert left + float(bar.get("width", 0)) + plot.VALUE <= panels[left] + 0.1


def test_the_page_and_the_readme_show_the_results_that_are_committed() -> None:
    """Otherwise run `python -m tools.bench.page`."""
    documents = results.read(results.TARGET)
    found = page.main_of(documents)
    assert f"<!-- results -->\n{page.render(documents)}\n<!-- /results -->" in page.PAGE.read_text()
    for file in (page.PAGE, page.README):
        assert f"<!-- picture -->\n{page.picture(found, file)}\n<!-- /picture -->" in file.read_text()
    if page.picture(found, page.PAGE):
        assert found is not None
        assert page.PICTURE.read_text() == plot.svg(found["parts"])


def test_the_picture_is_linked_from_both_pages() -> None:
    """By a path from the page that shows it."""
    assert page.picture(document(), page.README).endswith("(docs/images/benchmarks.svg)")
    assert page.picture(document(), page.PAGE).endswith("(images/benchmarks.svg)")
    assert page.picture({**document(), "parts": {}}, page.PAGE) == ""


def test_results_are_kept_by_part(tmp_path: Path) -> None:
    """A later run of one part leaves the others as they were."""
    target = tmp_path / "results.json"
    for part in ("cold", "warm"):
        results.write(target, {part: {BARE: {"init_ms": {"median": 1.0}}}}, [], 1.0)
    (found,) = results.read(target).values()
    assert list(found["parts"]) == ["cold", "warm"]


def test_each_python_has_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run under another Python leaves them as they were, and the page compares the head figures of all."""
    target = tmp_path / "results.json"
    for version in ((3, 13), (3, 9), (3, 11)):
        monkeypatch.setattr(sys, "version_info", version)
        results.write(target, {"warm": {}}, [], 1.0)
    assert list(results.read(target)) == ["3.9", "3.11", "3.13"]
    newer = {**document(), "machine": {**document()["machine"], "python": "3.13.1"}, "parts": {"warm": parts()["warm"]}}
    shown = page.render({"3.11": document(), "3.13": newer}).partition("### Pythons\n")[2]
    assert "| 3.11.0 | 10 (10 to 10) | " in shown
    assert "| 3.13.1 |  |  |  | 10.00 (10.00 to 10.00) | " in shown
    assert "### Pythons" not in page.render({"3.11": document()})
