"""Makes docs/benchmarks.md and the README's picture from the results: `python -m tools.bench.page`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import plot, results, sections

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "benchmarks.svg"
NONE = "There are no results of this version yet: `make bench` measures, and writes them here."


def render(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the generated part of the page: all tables of one Python, and the head figures of each."""
    document = main_of(documents)
    return NONE if document is None else "\n\n".join(_sections(document, documents))


def main_of(documents: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the results whose tables are shown: those with most parts, of the oldest Python that has as many."""
    return max(documents.values(), key=lambda document: len(document["parts"]), default=None)


def picture(document: Mapping[str, Any] | None, page: Path) -> str:
    """Return the line that shows the picture on a page; an empty one if a part is missing of which it is drawn."""
    if document is None or not document["parts"].keys() >= plot.PARTS:
        return ""
    return f"![{plot.description(document['parts'])}]({PICTURE.relative_to(page.parent)})"


def _sections(document: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    machine = document["machine"]
    yield _paragraph(
        f"Measured on {document['day']}, on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['system']}, Python {machine['python']}."
    )
    for name, (title, introduction, shown) in sections.SECTIONS.items():
        if document["parts"].get(name):
            yield f"### {title}\n\n{_paragraph(introduction)}\n\n{shown(document['parts'][name])}"
    if len(documents) > 1:
        yield f"### Pythons\n\n{_paragraph(sections.PYTHONS)}\n\n{sections.pythons(documents)}"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    yield f"### Versions\n\n{_paragraph(versions)}."


def _paragraph(content: str) -> str:
    return textwrap.fill(content, 120, break_on_hyphens=False)


def replace(file: Path, name: str, content: str) -> None:
    """Replace what is between the comments `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = file.read_text()
    found = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{content}\n{end}", text, flags=re.DOTALL)
    file.write_text(found)


def main() -> None:
    """Write the page, the picture, and the README's line."""
    documents = results.read(results.TARGET)
    document = main_of(documents)
    replace(PAGE, "results", render(documents))
    for page in (PAGE, README):
        replace(page, "picture", picture(document, page))
    if document and picture(document, PAGE):
        PICTURE.write_text(plot.svg(document["parts"]))


if __name__ == "__main__":
    main()
