"""Writes the files for programs that read: a Markdown file beside each page, llms.txt, and all pages in one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .markdown import without_marks
from .navigation import targets
from .pages import Page
from .project import Project


@dataclass(frozen=True)
class Twin:
    """The Markdown of one page, with links to other twins."""

    page: Page
    text: str


def files(project: Project, nav: Sequence[Any], twins: Mapping[str, Twin]) -> dict[str, str]:
    """Return the files to write beside the pages, by their paths."""
    made = {target: twin.text for target, twin in twins.items()}
    made["llms.txt"] = index(project, nav, twins)
    made["llms-full.txt"] = whole([twins[target] for target in targets(nav)])
    return made


def index(project: Project, nav: Sequence[Any], twins: Mapping[str, Twin]) -> str:
    """Return llms.txt in the format of https://llmstxt.org: name, description, and a link to every page."""
    base = f"{project.documentation}/" if project.documentation else ""
    lines = [f"# {project.name}", "", f"> {project.description}"]
    for section in nav:
        for title, inside in section.items():
            listed = [twins[target] for target in targets(inside if isinstance(inside, list) else [inside])]
            lines += ["", f"## {title}", "", *(_line(base, twin) for twin in listed)]
    return "\n".join(lines) + "\n"


def whole(twins: Iterable[Twin]) -> str:
    """Return all pages as one text; each begins with a comment that names its file."""
    return "\n".join(f"<!-- {twin.page.target} -->\n\n{without_marks(twin.text).strip()}\n" for twin in twins)


def _line(base: str, twin: Twin) -> str:
    text = f": {twin.page.description}" if twin.page.description else ""
    return f"- [{twin.page.title}]({base}{twin.page.target}){text}"
