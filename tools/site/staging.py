"""Writes what the site generator reads: the pages, their pictures, the theme's additions, and its configuration."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import mermaid, navigation, reference, twins
from .links import Links
from .markdown import staged, without_marks
from .pages import Page, collect
from .project import ROOT, Project, read

THEME = Path(__file__).parent / "theme"
ASSETS = Path(__file__).parent / "assets"
LOGO = ROOT / "dev" / "zespan_serverless_dev" / "page" / "icon.svg"


@dataclass(frozen=True)
class Staged:
    """A site that is ready to be built. `beside` are the files that are written beside its pages."""

    config: Path
    html: Path
    pages: list[Page]
    beside: dict[str, str]


def stage(folder: Path, root: Path = ROOT) -> Staged:
    """Make `folder` anew, with all that is needed to build the site in it."""
    project = read(root)
    sources = collect(root)
    described = navigation.descriptions(sources)
    sources = {s: replace(page, description=described.get(s) or page.description) for s, page in sources.items()}
    api = reference.pages(root)
    nav = navigation.menu(sources, api)
    links = Links(root, sources, project)
    docs = folder / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    texts = {
        page.target: twins.Twin(page, without_marks(links.rewritten(page, is_twin=True)))
        for page in (*sources.values(), *api)
    }
    pages = [*sources.values(), *api]
    for page in pages:
        _write(docs / page.target, _front_matter(page) + _body(page, staged(links.rewritten(page))))
    for page in links.files.made.values():
        _write(docs / page.target, _front_matter(page) + page.text)
        texts[page.target] = twins.Twin(page, page.text)
        pages.append(page)
    _assets(root, docs, [page for page in pages if mermaid.is_used(page.text)])
    return Staged(_config(folder, root, project, nav), folder / "html", pages, twins.files(project, nav, texts))


def _body(page: Page, text: str) -> str:
    return text + mermaid.script(page.url) if mermaid.is_used(text) else text


def _front_matter(page: Page) -> str:
    lines = {"description": page.description, "source": page.source, "twin": page.target}
    matter = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in lines.items() if value)
    return f"---\n{matter}{'' if page.is_searched else 'search:' + chr(10) + '  exclude: true' + chr(10)}---\n\n"


def _assets(root: Path, docs: Path, with_diagrams: list[Page]) -> None:
    for path in sorted((root / "docs").rglob("*")):
        if path.is_file() and path.suffix != ".md":
            target = docs / path.relative_to(root / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in (*ASSETS.iterdir(), LOGO):
        _write(docs / "assets" / path.name, path.read_text())
    if with_diagrams:
        (docs / mermaid.FILE).write_bytes(mermaid.library())


def _config(folder: Path, root: Path, project: Project, nav: list[Any]) -> Path:
    """Return the configuration in mkdocs.yml, with what is made: JSON is YAML, too."""
    made: dict[str, Any] = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "site_description": project.description,
        "docs_dir": "docs",
        "site_dir": "html",
        "theme": {"custom_dir": str(THEME)},
        "nav": nav,
    }
    if project.documentation:
        made["site_url"] = f"{project.documentation}/"
    if project.source:
        made |= {"repo_url": project.source, "repo_name": project.source.removeprefix("https://github.com/")}
    path = folder / "mkdocs.yml"
    path.write_text(
        "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in made.items()) + "\n"
    )
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
