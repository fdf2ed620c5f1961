"""Writes the input of the site generator: pages, pictures, style sheets, and the configuration."""

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
    """A site that is ready to be built. `beside` maps paths to the files that belong beside the built pages."""

    config: Path
    html: Path
    beside: dict[str, str]


def stage(folder: Path, root: Path = ROOT) -> Staged:
    """Write everything into `folder` that is needed to build the site there."""
    project = read(root)
    sources = collect(root)
    described = navigation.descriptions(sources)
    sources = {s: replace(page, description=described.get(s) or page.description) for s, page in sources.items()}
    api = reference.pages(root)
    nav = navigation.menu(sources, api)
    links = Links(root, sources, project)
    docs = folder / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    texts = {}
    for page in (*sources.values(), *api):
        _write(docs / page.target, _front_matter(page) + _body(page, staged(links.rewritten(page))))
        texts[page.target] = twins.Twin(page, without_marks(links.rewritten(page, is_twin=True)))
    for page in links.files.made.values():
        _write(docs / page.target, _front_matter(page) + page.text)
        texts[page.target] = twins.Twin(page, page.text)
    _assets(root, docs, has_diagrams=any(mermaid.is_used(twin.text) for twin in texts.values()))
    return Staged(_config(folder, project, nav), folder / "html", twins.files(project, nav, texts))


def _body(page: Page, text: str) -> str:
    return text + mermaid.script(page.url) if mermaid.is_used(text) else text


def _front_matter(page: Page) -> str:
    fields: dict[str, Any] = {"description": page.description, "source": page.source, "twin": page.target}
    if not page.is_searched:
        fields["search"] = {"exclude": True}
    return f"---\n{_yaml({name: value for name, value in fields.items() if value})}---\n\n"


def _assets(root: Path, docs: Path, *, has_diagrams: bool) -> None:
    for path in sorted((root / "docs").rglob("*")):
        if path.is_file() and path.suffix != ".md":
            target = docs / path.relative_to(root / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in (*ASSETS.iterdir(), LOGO):
        _write(docs / "assets" / path.name, path.read_text())
    if has_diagrams:
        for name, content in mermaid.library().items():
            (docs / name).write_bytes(content)


def _config(folder: Path, project: Project, nav: list[Any]) -> Path:
    """Write mkdocs.yml: the one of the repository, the menu, and the addresses of the project."""
    fields: dict[str, Any] = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "site_description": project.description,
        "docs_dir": "docs",
        "site_dir": "html",
        "theme": {"custom_dir": str(THEME)},
        "nav": nav,
    }
    if project.documentation:
        fields["site_url"] = f"{project.documentation}/"
    if project.source:
        fields |= {"repo_url": project.source, "repo_name": project.source.removeprefix("https://github.com/")}
    path = folder / "mkdocs.yml"
    path.write_text(_yaml(fields))
    return path


def _yaml(fields: dict[str, Any]) -> str:
    """Return a mapping as YAML. JSON values are valid YAML."""
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in fields.items())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
