"""The menu of the site, made from the tables of docs/README.md, so that there is one list of pages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .pages import Page, plain

INDEX = "docs/README.md"
_ROW = re.compile(r"^\| (?!-)(?P<names>.*?) \| (?P<text>.*?) \|$")
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)[^)]*\)")
_ABOUT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "dev/README.md", "dev/PROTOCOL.md", INDEX)


class NotListed(ValueError):
    """No table of docs/README.md contains a page of docs/."""


def descriptions(pages: dict[str, Page]) -> dict[str, str]:
    """Return the texts of the rows of docs/README.md, by the sources of their pages."""
    found: dict[str, str] = {}
    for line in pages[INDEX].text.splitlines():
        if row := _ROW.match(line):
            for source in _sources(row["names"]):
                found.setdefault(source, plain(row["text"]))
    return found


def menu(pages: dict[str, Page], reference: Sequence[Page]) -> list[Any]:
    """Return the value of `nav`: a section for each table, the API reference, and pages about the project."""
    nav: list[Any] = [{"Home": "index.md"}]
    listed = {"README.md", *_ABOUT}
    in_tables = {*_sources(pages[INDEX].text)}
    for heading, body in re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", pages[INDEX].text, re.MULTILINE):
        sources = [*dict.fromkeys(s for s in _sources(body) if s in pages and s not in listed)]
        entries: list[Any] = []
        for source in sources:
            inside = [s for s in _below(source, pages) if s not in in_tables]
            listed.update([source, *inside])
            entries += _entries(pages, source, inside)
        nav.append({plain(heading): entries})
    if missing := [source for source in pages if source.startswith("docs/") and source not in listed]:
        raise NotListed(f"no table of {INDEX} has {', '.join(missing)}: add a row for each")
    overview, *modules = reference
    api = [overview.target, *({page.title.partition(".")[2] or page.title: page.target} for page in modules)]
    about: list[Any] = [{pages[source].title: pages[source].target} for source in _ABOUT if source in pages]
    if examples := [
        {page.title: page.target} for source, page in pages.items() if _is_example(source) and source not in listed
    ]:
        about.append({"Examples": examples})
    return [*nav, {"API": api}, {"Project": about}]


def targets(nav: Iterable[Any]) -> list[str]:
    """Return the pages of a menu in their order."""
    found = []
    for entry in nav:
        if isinstance(entry, str):
            found.append(entry)
        else:
            for value in entry.values():
                found += [value] if isinstance(value, str) else targets(value)
    return found


def _is_example(source: str) -> bool:
    return source.startswith(("deploy/", "examples/"))


def _sources(markdown: str) -> list[str]:
    return [posixpath.normpath(posixpath.join("docs", link["target"])) for link in _LINK.finditer(markdown)]


def _below(source: str, pages: dict[str, Page]) -> list[str]:
    """Return the pages in the folder with the name of a page, such as those of rules below docs/doctor.md."""
    folder = source.removesuffix(".md") + "/"
    return [other for other in pages if other.startswith(folder)]


def _entries(pages: dict[str, Page], source: str, inside: list[str]) -> list[Any]:
    page = pages[source]
    if not inside:
        return [{page.title: page.target}]
    return [{page.title: [page.target, *({pages[below].title: pages[below].target} for below in inside)]}]
