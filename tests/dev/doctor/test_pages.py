"""Every rule has a page with a wrong and a right example, and finds the fault in the wrong one only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.rules import rules
from zespan_serverless_dev.doctor.run import diagnose

from tests.dev.doctor.pages import FOLDER, page, write

RULES = rules()


@pytest.mark.parametrize("id", RULES)
def test_a_page_begins_with_what_the_rule_says(id: str) -> None:
    """Name, level, reason and remedy are the same in the report and on the page."""
    rule, head = RULES[id][0], page(id).head
    assert head.startswith(f"# {id}: {rule.name}\n\nLevel: {rule.level}. {rule.why}\n\n{rule.remedy}\n")


@pytest.mark.parametrize("id", RULES)
def test_a_rule_finds_the_fault_of_the_wrong_example(id: str, tmp_path: Path) -> None:
    """The finding has a place, which is in one of the example's files."""
    example = page(id).wrong
    findings = diagnose(read(write(example, tmp_path)), [RULES[id]]).findings
    assert findings
    for finding in findings:
        assert finding.place is not None
        assert finding.place.file.relative_to(tmp_path).as_posix() in example


@pytest.mark.parametrize("id", RULES)
def test_a_rule_finds_nothing_in_the_right_example(id: str, tmp_path: Path) -> None:
    """The right example is what the remedy asks for."""
    example = page(id).right
    assert example
    assert diagnose(read(write(example, tmp_path)), [RULES[id]]).findings == []


def test_every_page_belongs_to_a_rule() -> None:
    """No page is left of a rule that is gone."""
    assert {path.stem for path in FOLDER.glob("*.md")} == set(RULES)


def test_the_overview_lists_every_rule() -> None:
    """docs/doctor.md has one row for each rule, with its level, and a link to its page."""
    overview = FOLDER.with_suffix(".md").read_text()
    for rule, _ in RULES.values():
        assert f"| [{rule.id}](doctor/{rule.id}.md) | {rule.level} | {rule.name} |" in overview


@pytest.mark.parametrize("path", [*sorted(FOLDER.glob("*.md")), FOLDER.with_suffix(".md")], ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Each link to a file of the repository, and to a heading in it."""
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\((?!https:)([^)]+)\)", path.read_text())):
        text = (path.parent / target if target else path).resolve().read_text()
        headings = [re.sub(r"[^\w -]", "", line).lower() for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
        assert not anchor or anchor in [heading.replace(" ", "-") for heading in headings], target
