"""The built site, as a browser shows it, at the widths of a phone, a tablet and a desk."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests import axe
from tools import vendor
from tools.chromium import Page
from tools.site import build, check, reference
from tools.site.pages import collect
from tools.site.project import ROOT

pytestmark = [pytest.mark.host(seconds=5), pytest.mark.timeout(300)]  # the first test waits for the site to be built

WIDTHS = (360, 768, 1440)
# One page of each kind: the front page, a host, long tables, signatures, a diagram.
SHOWN = ("", "hosts/lambda/", "settings/", "api/types/", "architecture/")
AXE = [tag for tag in axe.TAGS if tag != "best-practice"]  # of headings: Markdown's tables may have empty ones
# Kinds of elements that a page has as often on the site as on GitHub.
ELEMENTS = {"h1", "h2", "h3", "h4", "ul", "ol", "li", "pre", "table", "tr", "img", "strong", "em", "blockquote"}


PAGES = collect(ROOT)


def wide(page: Page, site: str, urls: Iterable[str], width: int) -> dict[str, int]:
    """How many pixels pages are wider than a window of this width, of those that are."""
    found = {}
    for url in urls:
        page.open(site + url, width=width)
        found[url] = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return {url: pixels for url, pixels in found.items() if pixels > 0}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build.build(tmp_path_factory.mktemp("site"))
    except vendor.RegistryUnavailable as problem:
        pytest.skip(str(problem))


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # on a busy machine a page has more requests than five waiting


@contextmanager
def served(html: Path) -> Iterator[str]:
    """The address at which a built site is served."""
    with Server(("127.0.0.1", 0), partial(Quiet, directory=str(html))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def site(html: Path) -> Iterator[str]:
    with served(html) as address:
        yield address


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(page: Page, site: str, width: int) -> None:
    """Wide tables, code and pictures scroll in their own boxes, or are scaled."""
    assert wide(page, site, SHOWN, width) == {}
    assert page.violations() == []


def test_no_page_is_wider_than_a_phone(page: Page, site: str) -> None:
    """All pages but those of the doctor's rules, which are alike. They are loaded without scripts, which takes long."""
    page.send("Emulation.setScriptExecutionDisabled", value=True)
    sources = [source for source in PAGES if source.startswith("docs/") and "doctor/" not in source]
    assert wide(page, site, [PAGES[source].url for source in sources], min(WIDTHS)) == {}
    page.send("Emulation.setScriptExecutionDisabled", value=False)
    page.open(site)


def test_every_request_goes_to_the_site(page: Page, site: str) -> None:
    """Fonts, scripts, pictures, the diagrams' library: nothing comes from another host."""
    for url in SHOWN:
        page.open(site + url)
        asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert asked
        assert [name for name in asked if not name.startswith((site, "data:", "blob:"))] == []


def test_the_search_finds_a_word(page: Page, site: str) -> None:
    """A setting leads to its page."""
    page.open(site)
    page.click(".md-search__button")
    page.wait("document.activeElement.shadowRoot?.activeElement?.tagName === 'INPUT'")
    page.type("flush_reserve")
    page.wait(
        "document.activeElement.shadowRoot.querySelector('a')?.href.endsWith('/settings/?h=flush_reserve#flush_reserve')"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_those_of_the_system_until_they_are_switched(page: Page, site: str, theme: str) -> None:
    """Dark or light at first as the system has it; the button switches, and the next page remembers."""
    schemes = {"light": "default", "dark": "slate"}
    scheme = "document.body.getAttribute('data-md-color-scheme')"
    page.open(site, theme=theme)
    assert page.evaluate(scheme) == schemes.pop(theme)
    (other,) = schemes.values()
    page.click("label.md-header__button[for^='__palette']:not([hidden])")
    page.wait(f"{scheme} === '{other}'")
    page.open(f"{site}settings/", theme=theme)
    page.wait(f"{scheme} === '{other}'")
    page.evaluate("localStorage.clear()")


def test_diagrams_are_drawn(page: Page, site: str) -> None:
    """By the site's own copy of the library."""
    page.open(f"{site}architecture/")
    page.wait("document.querySelector('div.mermaid')?.offsetHeight > 100")


@pytest.mark.parametrize(("width", "theme", "urls"), [(1440, "light", SHOWN), (360, "dark", SHOWN[:2])])
def test_everybody_can_read_it(page: Page, site: str, width: int, theme: str, urls: Sequence[str]) -> None:
    """Names, contrast, landmarks: axe-core finds nothing on a page of each kind, nor in the dark on a phone."""
    source = axe.source()
    for url in urls:
        page.open(site + url, width=width, theme=theme)
        assert axe.violations(page, source, AXE) == [], url


def test_the_site_shows_what_github_shows(html: Path) -> None:
    """Each page has as many headings, list items, rows, blocks of code and pictures as its Markdown has."""
    different = {}
    made = {page.target: page for page in reference.pages(ROOT)}
    for source, written in {**PAGES, **made}.items():
        github = Elements(MarkdownIt("commonmark").enable("table").render(written.text), is_page=False).found
        shown = Elements((html / written.url / "index.html").read_text(), is_page=True).found
        if "<!-- tabs -->" in written.text:  # whose headings are labels
            github, shown = (
                Counter({tag: n for tag, n in found.items() if tag[0] != "h"}) for found in (github, shown)
            )
        if github != shown:
            different[source] = (github - shown, shown - github)
    assert different == {}


def test_every_page_has_its_twin(html: Path) -> None:
    """The Markdown is beside the page, which names it, and has a description; llms.txt names them all."""
    names = (html / "llms.txt").read_text()
    for page in PAGES.values():
        assert (html / page.target).read_text().startswith(("#", "<!--")), page.target
        assert f"]({page.target})" in names
        shown = (html / page.url / "index.html").read_text()
        assert 'type="text/markdown"' in shown
        assert '<meta name="description"' in shown


def test_a_missing_page_says_what_to_do(page: Page, site: str, html: Path) -> None:
    """404.html is a page of the site, with a description of where to look."""
    page.open(f"{site}404.html")
    assert "There is no such page" in page.text()


def test_a_warning_of_the_generator_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its text, without colours and stacks."""
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nsite_dir: html\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[a](nothing.md)\n")
    with pytest.raises(build.BuildFailed, match=r"page does not exist") as failed:
        build.generate(config)
    assert "\x1b" not in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_a_dead_link_or_anchor_fails_the_build(html: Path, tmp_path: Path) -> None:
    """One that is planted in the built site is found, and it is the only one."""
    copy = tmp_path / "html"
    shutil.copytree(html, copy)
    page = copy / "settings" / "index.html"
    page.write_text(page.read_text().replace('href="#destination"', 'href="#nowhere"'))
    assert {*check.dead_links(copy)} == {"settings/index.html: #nowhere leads to no heading of settings/index.html"}


class Elements(HTMLParser):
    """How often a page has each kind of element: of its whole text, or of the article on a page of the site.

    List items count by their depth.
    """

    def __init__(self, text: str, *, is_page: bool) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self._is_inside, self._depth = not is_page, 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count the element."""
        self._is_inside |= tag == "article"
        if self._is_inside and tag in ELEMENTS:
            self._depth += tag in ("ul", "ol")
            self.found[f"{tag} in {self._depth}" if tag == "li" else tag] += 1

    def handle_endtag(self, tag: str) -> None:
        """Leave a list, or the article."""
        if self._is_inside:
            self._depth -= tag in ("ul", "ol")
        self._is_inside &= tag != "article"


def test_public_addresses_are_in_the_pages(tmp_path: Path, page: Page) -> None:
    """[project.urls] gives pages the links to edit them and canonical addresses. Still no other host is asked."""
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "name"\ndescription = "What it is"\n[project.urls]\n'
        'Documentation = "https://docs.example/name/"\nSource = "https://github.com/owner/name"\n'
    )
    (root / "README.md").write_text("# Name\n\nWords, and [a file](pyproject.toml).\n")
    (root / "docs" / "README.md").write_text(
        "# Documentation\n\n## One\n\n| | |\n| --- | --- |\n| [settings.md](settings.md) | A |\n"
    )
    (root / "docs" / "settings.md").write_text("# Settings\n\nWords.\n")
    (root / reference.PACKAGE).symlink_to(ROOT / reference.PACKAGE)
    html = build.build(tmp_path / "site", root)
    front, other = (html / "index.html").read_text(), (html / "settings" / "index.html").read_text()
    assert 'href="https://github.com/owner/name/blob/main/pyproject.toml"' in front
    assert 'href="https://github.com/owner/name/edit/main/README.md"' in front
    assert 'href="https://github.com/owner/name/edit/main/docs/settings.md"' in other
    assert '<link rel="canonical" href="https://docs.example/name/settings/">' in other
    assert 'src="https' not in front + other
    assert "- [Settings](https://docs.example/name/settings.md): A\n" in (html / "llms.txt").read_text()
    assert 'href="/name/assets/' in (html / "404.html").read_text()
    with served(html) as address:
        page.open(address)
        page.wait("document.querySelector('.md-source') !== null")
        asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert [name for name in asked if not name.startswith((address, "data:", "blob:"))] == []
        assert page.violations() == []
        page.open("about:blank")  # the icon may still be on its way
