"""docs/comparison.md says what is measured."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import environments

from .calls import ALL, cells
from .running import column, ran
from .table import COLUMNS, GOOD, PAGE, block, judge, merged, read, render

OURS = "zespan_serverless"


@pytest.mark.host(seconds=30)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tool", COLUMNS)
def test_the_page_says_what_is_measured(tool: str) -> None:
    """Ours always, and those of the other tools if their environments are there, because pinned versions do not change.

    `python -m tests.comparison` writes the page.
    """
    if tool != OURS:
        for name in environments.ENVIRONMENTS["comparison"]:
            environments.installed("comparison", name)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ran, ("nobody", tool)))
    page = block(PAGE.read_text(), "measured")
    assert render(merged(read(page), column(tool))) == page


def test_the_page_names_the_versions_that_are_pinned() -> None:
    """A tool with another version is measured again."""
    pinned = [package for each in environments.ENVIRONMENTS["comparison"].values() for package in each]
    shown = block(PAGE.read_text(), "versions")
    assert [each for each in pinned if each != environments.OTEL and each.replace("==", " ") not in shown] == []


def test_we_capture_everything() -> None:
    """Every call in every way, as the page says: one record, with everything that the provider has sent."""
    table = read(block(PAGE.read_text(), "measured"))
    assert {cell: row[OURS] for cell, row in table.items() if row[OURS] != GOOD} == {}
    assert set(table) == set(cells())


def test_what_is_read_is_what_is_rendered() -> None:
    """Also where the two clients differ."""
    table = merged({cell: dict.fromkeys(COLUMNS, f"no {cell[2]}") for cell in cells()})
    assert read(render(table)) == table


RECORD: dict[str, Any] = {"input": 30, "output": 20, "cached": 10, "reason": "stop", "first": True, "failed": False}
CONTENT = 'What is the weather in Bern? Let me look. {"name": "weather"}'


@pytest.mark.parametrize(
    ("way", "records", "user", "expected"),
    [
        ("stream", [{}], ["x"], GOOD),
        ("stream", [], ["x"], "none"),
        ("stream", [], ["y"], "none, other result"),
        ("stream", [{}, {}], ["x"], "2 records"),
        ("stream", [{"first": False, "cached": None, "input": 20}], ["x"], "wrong input, no cached, no first"),
        ("answer", [{"first": False, "content": "weather"}], ["x"], "no prompt, no text, no tools"),
        ("answer", [{"failed": True, "reason": None}], ["x"], "error, no reason"),
        ("refused", [{"output": None}], ["x"], "no error"),
        ("left stream", [{"output": None}], ["x"], GOOD),
    ],
)
def test_a_difference_is_named(way: str, records: list[Any], user: list[str], expected: str) -> None:
    """What is missing or wrong in the record of a call, and whether the user gets something else."""
    seen = {"user": user, "tool": [{**RECORD, "content": CONTENT, **record} for record in records]}
    assert judge(("openai chat", way, "sync"), seen, {"user": ["x"]}) == expected


def test_another_type_is_not_another_result() -> None:
    """The type is all that differs."""
    seen = {"user": ["type Wrapper", "chunk"], "tool": [{**RECORD, "content": CONTENT}]}
    assert judge(("openai chat", "stream", "sync"), seen, {"user": ["type Stream", "chunk"]}) == "other type"
    assert "openai chat" in ALL
