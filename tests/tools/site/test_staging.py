"""What the site is built from: links, the menu, descriptions, twins."""

from __future__ import annotations

import re
import threading
import tomllib
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.site import check, navigation, reference, twins
from tools.site.links import DeadLink, Links
from tools.site.pages import Page, collect, summary
from tools.site.project import ROOT, Project, read

PROJECT = Project("name", "What it is", "https://docs.example", "https://github.com/owner/name")
PAGES = collect(ROOT)


@cache
def api() -> list[Page]:
    return reference.pages(ROOT)


def rewritten(
    text: str, source: str = "docs/hosts/lambda.md", project: Project = PROJECT, *, is_twin: bool = False
) -> str:
    page = Page(source, source.removeprefix("docs/"), text)
    return Links(ROOT, {**PAGES, source: page}, project).rewritten(page, is_twin=is_twin)


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("[a](../settings.md#exporter)", "[a](../settings.md#exporter)"),
        ("[a](../../README.md)", "[a](../index.md)"),
        ("[a](../../deploy/aws_lambda/README.md#the-key)", "[a](../deploy/aws-lambda.md#the-key)"),
        ("[a](../../sam-template.yaml)", "[a](https://github.com/owner/name/blob/main/sam-template.yaml)"),
        ("[a](../../examples/google_cloud)", "[a](https://github.com/owner/name/tree/main/examples/google_cloud)"),
        ("![a](../images/freeze.svg)", "![a](../images/freeze.svg)"),
        ("`[a](no.md)` [a](#here) [a](https://a.example/a.md)", "`[a](no.md)` [a](#here) [a](https://a.example/a.md)"),
        ("[settings.md](../settings.md#exporter)", "[Settings](../settings.md#exporter)"),
        ('<a href="../dev.md">', '<a href="../../dev/">'),
        ('<img src="../images/freeze.svg">', '<img src="../../images/freeze.svg">'),
    ],
)
def test_links_work_on_the_site(written: str, on_the_site: str) -> None:
    """A link to a page leads to the page, one to another file of the repository to the repository."""
    assert rewritten(written) == on_the_site


def test_links_of_a_twin_lead_to_twins() -> None:
    """HTML in Markdown has no site generator to change it: its links are relative to the twin's file."""
    text = rewritten('<a href="../dev.md">[a](../settings.md)</a>', is_twin=True)
    assert text == '<a href="../dev.md">[a](../settings.md)</a>'


def test_a_dead_link_is_named() -> None:
    """With the page that has it."""
    with pytest.raises(DeadLink, match=r"docs/hosts/lambda.md links to \.\./nothing.md, which does not exist"):
        rewritten("[a](../nothing.md)")


def test_without_an_address_the_site_shows_the_files_itself() -> None:
    """A file that is linked gets a page with its text, a folder one with its files."""
    links = Links(ROOT, PAGES, replace(PROJECT, source=""))
    page = Page("docs/new.md", "new.md", "[a](../sam-template.yaml) [b](../examples/google_cloud)")
    assert links.rewritten(page) == "[a](files/sam-template-yaml.md) [b](files/examples/google_cloud/index.md)"
    assert "AWS::Serverless::Function" in links.files.made["sam-template.yaml"].text
    assert "](" in links.files.made["examples/google_cloud"].text


def test_the_menu_has_every_page() -> None:
    """Each once, in the order of docs/README.md; a page of docs/ that no table has is named."""
    listed = navigation.targets(navigation.menu(PAGES, api()))
    assert sorted(listed) == sorted({page.target for page in (*PAGES.values(), *api())})
    extra = Page("docs/new.md", "new.md", "# New\n")
    with pytest.raises(navigation.NotListed, match=r"no table of docs/README.md has docs/new.md"):
        navigation.menu({**PAGES, extra.source: extra}, api())


def test_pages_have_titles_and_descriptions() -> None:
    """What docs/README.md says of a page, else its first sentence."""
    described = navigation.descriptions(PAGES)
    assert described["docs/settings.md"] == "Every setting"
    assert summary("# A\n\n<!-- made -->\n\n![a](b)\n\nOne [two](c.md),\n`three`, and many other words. Four.\n") == (
        "One two, three, and many other words."
    )
    without = [s for s, page in PAGES.items() if not (described.get(s) or page.description)]
    assert without == []
    assert [s for s, page in PAGES.items() if page.title == page.target] == []


def test_the_front_page_is_the_readme() -> None:
    """With its picture, and without shields, which another host would serve."""
    page = PAGES["README.md"]
    assert (page.target, page.url) == ("index.md", "")
    assert "](docs/images/freeze.svg)" in page.text
    assert "shields.io" not in page.text


def test_every_public_name_is_in_the_reference() -> None:
    """Every name in the `__all__` of a public module is described on a page."""
    made = {page.target: page.text for page in api()}
    everything = "\n".join(made.values())
    for path in sorted((ROOT / reference.PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        names = re.search(r"^__all__ = (\[[^\]]*\])", path.read_text(), re.MULTILINE)
        if "._" in name or name in (*reference.MODULES, *reference.INTERNAL) or not names:
            continue
        missing = [public for public in re.findall(r'"(\w+)"', names[1]) if f"\n## `{public}`\n" not in everything]
        assert missing == [], name


def test_the_reference_has_parameters_types_and_links() -> None:
    """Signatures, fields with their types and units, and links between names."""
    made = {page.target: page.text for page in api()}
    front, types = made["api/zespan-serverless.md"], made["api/types.md"]
    assert (
        "def flush(\n    timeout: float | None = None,\n    *,\n    raise_on_pending: bool = False,\n) -> FlushReport\n"
        in front
    )
    assert "[`FlushReport`](#flushreport)" in front or "[`EventFields`](types.md#eventfields)" in front
    assert "* **`latency_ms`**: `int`  \n  Duration in milliseconds. Default: 0." in types
    assert "```python\n@run\ndef main(): ...\n" in front


def test_programs_find_every_page() -> None:
    """llms.txt names each with its description, at its public address; llms-full.txt has the text of all."""
    nav = [{"Home": "index.md"}, {"Trace": [{"A": "a.md"}, {"B": ["b.md"]}]}]
    made = {t: twins.Twin(Page(t, t, f"# {t}\n", f"About {t}"), f"# {t}\n") for t in ("index.md", "a.md", "b.md")}
    files = twins.files(PROJECT, nav, made)
    assert files["llms.txt"].splitlines()[:3] == ["# name", "", "> What it is"]
    assert files["llms.txt"].endswith(
        "## Trace\n\n- [a.md](https://docs.example/a.md): About a.md\n- [b.md](https://docs.example/b.md): About b.md\n"
    )
    assert [line for line in files["llms-full.txt"].splitlines() if line.startswith("# ")] == [
        "# index.md",
        "# a.md",
        "# b.md",
    ]
    assert files["a.md"] == "# a.md\n"


def test_both_distributions_name_the_same_addresses() -> None:
    """[project.urls] of the two pyproject.toml are one place."""
    urls = [
        tomllib.loads((ROOT / file).read_text())["project"].get("urls")
        for file in ("pyproject.toml", "dev/pyproject.toml")
    ]
    assert urls[0] == urls[1]
    assert read(ROOT).documentation == ((urls[0] or {}).get("Documentation") or "").rstrip("/")


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("b/", None),
        ("b/#there", None),
        ("#here", None),
        ("https://example.com/x", None),
        ("c/", "a/index.html: ../c/ leads to no file"),
        ("b/#gone", "a/index.html: ../b/#gone leads to no heading of b/index.html"),
        ("a/#gone", "a/index.html: ../a/#gone leads to no heading of a/index.html"),
    ],
)
def test_a_planted_dead_link_is_found(tmp_path: Path, link: str, problem: str | None) -> None:
    """A file that is not there, and a heading that is not there; a link that works is none."""
    for name, body in {
        "a": f'<h1 id="here">A</h1><a href="{link if "://" in link or link[0] == "#" else "../" + link}">',
        "b": '<p id="there">',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(body)
    assert check.dead_links(tmp_path) == [problem] * (problem is not None)


def test_links_to_other_hosts_are_collected(tmp_path: Path) -> None:
    """Each address once, without its fragment; those on the reader's machine are not asked."""
    links = ["https://a.example/x#1", "https://a.example/x#2", "http://localhost:8000/", "b/", "mailto:a@b.example"]
    (tmp_path / "index.html").write_text("".join(f'<a href="{link}">' for link in links))
    assert check.other_hosts(tmp_path) == {"https://a.example/x": "index.html"}


@pytest.mark.parametrize(("status", "problem"), [(200, None), (404, "HTTP 404"), (403, None), (None, "refused")])
def test_an_address_that_is_gone_is_named(status: int | None, problem: str | None) -> None:
    """A host that only refuses programs is not counted as gone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status or 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        if status is None:
            server.server_close()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        found = check.ask(address)
        if status is not None:
            server.shutdown()
    assert found == problem or (problem and found and problem in found)
