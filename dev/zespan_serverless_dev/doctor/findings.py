"""What rules report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .. import links
from .model import Place, Project

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Edit:
    """A replacement of whole lines, `first` to `last` (counted from 1), by `lines`; shown as a diff first."""

    place: Place
    first: int
    last: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """One rule. Its id is never used for another one."""

    id: str  # "ZS001"
    name: str  # "no-api-key"
    level: Level
    why: str  # one sentence: what happens because of it
    remedy: str  # one sentence: what to type

    @property
    def page(self) -> str:
        """The address of its page."""
        return links.page(f"doctor/{self.id}")


_NONE = Rule("", "", "info", "", "")


@dataclass(frozen=True)
class Finding:
    """One fault: what is wrong, where, and what to type instead."""

    message: str
    place: Place | None = None
    remedy: str = ""  # replaces the rule's, if it depends on the finding
    function: str = ""
    edit: Edit | None = None
    rule: Rule = _NONE  # set by the decorator of the check that yields it


Check = Callable[[Project], Iterator[Finding]]

RULES: dict[str, tuple[Rule, Check]] = {}
"""Every rule by its id, in the order of their definition."""


def rule(id: str, name: str, level: Level, why: str, remedy: str) -> Callable[[Check], Check]:
    """Make a function a rule: it is called with the project, and yields findings."""

    def decorate(check: Check) -> Check:
        if id in RULES:
            raise ValueError(f"rule {id} is defined twice")
        described = Rule(id, name, level, why, remedy)

        def named(project: Project) -> Iterator[Finding]:
            return (replace(finding, rule=described) for finding in check(project))

        RULES[id] = described, named
        return named

    return decorate
