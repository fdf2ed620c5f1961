"""Rewrites the links of a page, which are written for the repository, so that they work on the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from .files import FilePages
from .markdown import prose
from .pages import Page
from .project import Project

_MARKDOWN = re.compile(r"(?P<before>\]\(<?|^\[[^\]\n]+\]:[ ]+)(?P<target>[^)\s>]+)", re.MULTILINE)
_NAMED = re.compile(r"\[(?P<name>[\w./-]+\.md)\](?=\((?P<target>[^)#\s]+))")
_HTML = re.compile(r"""(?P<before>\b(?:href|src)=")(?P<target>[^"]+)""")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//")


class DeadLink(ValueError):
    """A page links to a file that does not exist."""


class Links:
    """Rewrites the links of all pages. Collects a page for each file that has no other address."""

    def __init__(self, root: Path, pages: dict[str, Page], project: Project) -> None:
        self._root, self._pages, self._project = root, pages, project
        self.files = FilePages(root)

    def rewritten(self, page: Page, *, is_twin: bool = False) -> str:
        """Return a page's text with links that work on the site, or in its Markdown twin.

        A link whose text is the name of a file gets the title of the page instead.
        """
        base = posixpath.dirname(page.target) if is_twin else page.url

        def markdown(link: re.Match[str]) -> str:
            return link["before"] + self._relative(page, link["target"], posixpath.dirname(page.target), is_page=False)

        def html(link: re.Match[str]) -> str:
            return link["before"] + self._relative(page, link["target"], base, is_page=not is_twin)

        def named(link: re.Match[str]) -> str:
            target = self._pages.get(_source(page, link["target"]))
            return f"[{target.title.partition(':')[0]}]" if target else link[0]

        return prose(page.text, lambda part: _HTML.sub(html, _MARKDOWN.sub(markdown, _NAMED.sub(named, part))))

    def _relative(self, page: Page, link: str, base: str, *, is_page: bool) -> str:
        """Return a link relative to the folder `base`.

        `is_page`: whether to link a page by its address, as HTML does, and not by its file.
        """
        if not page.source or _ELSEWHERE.match(link):
            return link
        path, mark, fragment = link.partition("#")
        target = self._target(page, link, _source(page, path))
        if isinstance(target, Page):
            target = target.url if is_page else target.target
        elif _ELSEWHERE.match(target):
            return target + mark + fragment
        slash = "/" if target.endswith("/") or not target else ""
        return posixpath.relpath(target or ".", base or ".") + slash + mark + fragment

    def _target(self, page: Page, link: str, source: str) -> Page | str:
        path = self._root / source
        if source in self._pages:
            return self._pages[source]
        if not path.exists() or source.startswith(".."):
            raise DeadLink(f"{page.source} links to {link}, which does not exist")
        if source.startswith("docs/") and path.is_file():
            return source.removeprefix("docs/")
        return self._project.link(source, is_folder=path.is_dir()) or self.files.page(source)


def _source(page: Page, path: str) -> str:
    """Return the path in the repository of a link's target."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
