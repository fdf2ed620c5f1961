"""Finds dead links in the built site: files that do not exist, and anchors that no page has.

python -m tools.site.check FOLDER            links within the site
python -m tools.site.check FOLDER --others   links to other hosts, by asking each of them
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from .project import read

_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
# Hosts that answer to no program, or whose pages a reader of the documentation makes on their own machine.
_NOT_ASKED = ("localhost", "127.0.0.1", "app.zespan.com")


class Document(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element links to, and by which names it can be linked to."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag in _LINKS and _LINKS[tag] in given and given.get("rel") != "canonical":
            self.links.append(given[_LINKS[tag]])


def dead_links(folder: Path, address: str = "") -> list[str]:
    """Name each link of a page to a file or an anchor that the site does not have.

    `address` is the site's public address, whose path the links of 404.html begin with.
    """
    documents, root = _documents(folder), urlsplit(address).path.rstrip("/")
    return sorted({f"{page}: {problem}" for page in documents for problem in _dead(folder, page, documents, root)})


def other_hosts(folder: Path) -> dict[str, str]:
    """Return the addresses on other hosts that pages link to, each with one page that does."""
    found: dict[str, str] = {}
    for page, document in _documents(folder).items():
        for link in document.links:
            if urlsplit(link).scheme in ("http", "https") and urlsplit(link).hostname not in _NOT_ASKED:
                found.setdefault(link.partition("#")[0], page)
    return found


def _documents(folder: Path) -> dict[str, Document]:
    return {path.relative_to(folder).as_posix(): Document(path.read_text()) for path in sorted(folder.rglob("*.html"))}


def _dead(folder: Path, page: str, documents: dict[str, Document], root: str) -> Iterator[str]:
    for link in documents[page].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        path = unquote(parts.path)
        if path.startswith("/"):
            path = path.removeprefix(root)
        path = posixpath.join(f"/{posixpath.dirname(page)}", path or posixpath.basename(page))
        path = posixpath.normpath(path).lstrip("/")
        target = posixpath.join(path, "index.html").lstrip("/") if (folder / path).is_dir() else path
        if not (folder / target).is_file():
            yield f"{link} leads to no file"
        elif parts.fragment and target in documents and unquote(parts.fragment) not in documents[target].anchors:
            yield f"{link} leads to no heading of {target}"


def ask(address: str) -> str | None:
    """Ask for an address; return what is wrong with the answer."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"}), timeout=30):
            return None
    except HTTPError as error:
        error.close()  # it is the answer, whose body is not read
        return f"HTTP {error.code}" if error.code in (404, 410) else None  # others may refuse programs only
    except OSError as error:
        return str(error)


def main(arguments: list[str]) -> int:
    match arguments:
        case [folder, "--others"]:
            asked = {address: (page, ask(address)) for address, page in other_hosts(Path(folder)).items()}
            found = [f"{page}: {address}: {problem}" for address, (page, problem) in asked.items() if problem]
        case [folder]:
            found = dead_links(Path(folder), read().documentation)
        case _:
            print(__doc__)
            return 2
    print("\n".join(found) or "No dead links.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
