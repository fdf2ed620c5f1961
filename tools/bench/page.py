"""Makes docs/benchmarks.md and the README's picture from the results: `python -m tools.bench.page`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import plot, results
from .sections import SECTIONS

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "benchmarks.svg"
NONE = "There are no results of this version yet: `make bench` measures, and writes them here."


def render(document: Mapping[str, Any] | None) -> str:
    """Return the generated part of the page."""
    return "\n\n".join(_sections(document)) if document else NONE


def picture(document: Mapping[str, Any] | None, page: Path) -> str:
    """Return the line that shows the picture on a page; an empty one if a part is missing of which it is drawn."""
    if document is None or not document["parts"].keys() >= plot.PARTS:
        return ""
    return f"![{plot.description(document['parts'])}]({PICTURE.relative_to(page.parent)})"


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    machine = document["machine"]
    yield _paragraph(
        f"Measured on {document['day']}, in {document['seconds']} s, on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['system']}, Python {machine['python']}."
    )
    for name, (title, introduction, shown) in SECTIONS.items():
        if document["parts"].get(name):
            yield f"### {title}\n\n{_paragraph(introduction)}\n\n{shown(document['parts'][name])}"
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
    document = results.read(results.TARGET) if results.TARGET.exists() else None
    replace(PAGE, "results", render(document))
    for page in (PAGE, README):
        replace(page, "picture", picture(document, page))
    if document and picture(document, PAGE):
        PICTURE.write_text(plot.svg(document["parts"]))


if __name__ == "__main__":
    main()
