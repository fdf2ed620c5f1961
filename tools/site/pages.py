"""Which files of the repository become pages of the site, and where they are found there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from .markdown import prose

# Beside docs/, whose pages keep their paths, and the README of each folder of examples/ and deploy/.
ELSEWHERE = {
    "README.md": "index.md",
    "docs/README.md": "contents.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "dev/PROTOCOL.md": "dev/protocol.md",
    "dev/README.md": "dev/distribution.md",
}
# Shields of the README come from another host, and repeat what the site says anyway.
_SHIELD = re.compile(r"^!\[[^\]]*\]\(https://img\.shields\.io/.*\)\n", re.MULTILINE)
SHORT = 30  # characters: "Level: error." says too little
_NO_PROSE = re.compile(r"<!--.*?-->|^(```|~~~).*?^\1$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Page:
    """One page. `source` is its file in the repository, empty if it is made from code; `target` its file to build."""

    source: str
    target: str
    text: str
    description: str = ""
    is_searched: bool = True

    @property
    def title(self) -> str:
        """The heading of the first level, without its markup."""
        found = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return plain(found[1]) if found else self.target

    @property
    def url(self) -> str:
        """The address relative to the front page's: empty, or with a slash at its end."""
        path = PurePosixPath(self.target).with_suffix("")
        folder = path.parent if path.name == "index" else path
        return "" if folder == PurePosixPath() else f"{folder}/"


def collect(root: Path) -> dict[str, Page]:
    """Read every file that is a page; return the pages by their sources."""
    pages = {}
    for path in sorted(
        [*root.glob("docs/**/*.md"), *root.glob("examples/*/README.md"), *root.glob("deploy/*/README.md")]
    ):
        source = path.relative_to(root).as_posix()
        pages[source] = _page(root, source, ELSEWHERE.get(source) or _target(source))
    for source, target in ELSEWHERE.items():
        if source not in pages and (root / source).exists():
            pages[source] = _page(root, source, target)
    return pages


def summary(text: str) -> str:
    """Return the first sentence of a page's first paragraph, or more of them if it is short, for its description."""
    for paragraph in re.split(r"\n\s*\n", _NO_PROSE.sub("", text)):
        if (stripped := paragraph.strip()) and not stripped.startswith(("#", "|", "<", "![", "* ", "- ", "=", ">")):
            first, *others = re.split(r"(?<=[.!?])\s", plain(" ".join(stripped.split())))
            while others and len(first) < SHORT:
                first += f" {others.pop(0)}"
            return first.rstrip(":")
    return ""


def plain(markdown: str) -> str:
    """Return the words of a line of Markdown, without links, emphasis and backticks."""
    return re.sub(r"[`*]|<[^>]+>", "", _LINK.sub(r"\1", markdown)).strip()


def _target(source: str) -> str:
    path = PurePosixPath(source)
    if path.parts[0] == "docs":
        return path.relative_to("docs").as_posix()
    return f"{path.parent}.md".replace("_", "-")


def _page(root: Path, source: str, target: str) -> Page:
    text = (root / source).read_text()
    if target == "index.md":
        text = prose(text, lambda part: _SHIELD.sub("", part))
    page = Page(source, target, text)
    return replace(page, description=summary(text) or page.title)
