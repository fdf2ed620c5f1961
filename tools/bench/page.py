"""Makes docs/benchmarks.md and the README's picture from the results: `python -m tools.bench.page`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import plot, results
from .tables import Results, added, number, share, table

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "benchmarks.svg"
NONE = "There are no results of this version yet: `make bench` measures, and writes them here."
_DELIVERED = {"Arrived before the freeze": share("arrived_in_time"), "Later": share("arrived")}


def _cold(found: Mapping[str, Results]) -> str:
    columns = {
        "Init, ms": added("init_ms", 0),
        "First response, ms": added("first_ms", 0),
        "CPU, ms": added("cpu_ms", 0),
        "Memory, MB": added("memory_mb"),
    }
    own = {"Init, ms": "init_ms", "First response, ms": "first_ms", "CPU, ms": "cpu_ms", "Memory, MB": "memory_mb"}
    return table(found, columns, {head: number(measure, 0) for head, measure in own.items()})


def _warm(found: Mapping[str, Results]) -> str:
    columns = {
        "Response, ms": added("response_ms", 2),
        "99th percentile": number("response_ms_p99_added", 1),
        "Billed, ms": added("billed_ms"),
        "CPU, ms": added("cpu_ms", 2),
        **_DELIVERED,
    }
    own = {"Response, ms": "response_ms", "99th percentile": "response_ms_p99", "Billed, ms": "billed_ms"}
    return table(found, columns, {head: number(name) for head, name in {**own, "CPU, ms": "cpu_ms"}.items()})


def _tls(found: Mapping[str, Results]) -> str:
    columns = {
        "First invocation billed, ms": number("first_billed_ms", 0),
        "Response, ms": added("response_ms", 2),
        "Billed, ms": added("billed_ms"),
        **_DELIVERED,
    }
    return table(found, columns, {"First invocation billed, ms": number("first_billed_ms", 0)})


def _freeze(found: Mapping[str, Results]) -> str:
    return table(found, _DELIVERED)


def _kill(found: Mapping[str, Results]) -> str:
    return table(found, {"Arrived": share("arrived"), "Next invocation answered": share("next_answered")})


def _outage(found: Mapping[str, Results]) -> str:
    columns = {
        "Answered": share("answered"),
        "Slowest response, ms": number("slowest_response_ms", 0),
        "Billed in all, ms": number("billed_ms", 0),
        "Arrived afterwards": share("arrived"),
        "Of the 3 after it": share("after_arrived", "after_calls"),
    }
    return table(found, columns, {head: columns[head] for head in list(columns)[:3]})


def _calls(found: Mapping[str, Mapping[str, Results]]) -> str:
    tables = []
    for measure, title in (("response_ms", "Response, ms"), ("billed_ms", "Billed, ms"), ("cpu_ms", "CPU, ms")):
        by_subject = {
            name: {count: found[count].get(name, {}) for count in found} for name in next(iter(found.values()))
        }
        columns: dict[str, Callable[[Results], str]] = {
            f"{count} calls" if count != "1" else "1 call": _at(count, added(measure)) for count in found
        }
        tables.append(f"{title}:\n\n{table(by_subject, columns)}")
    return "\n\n".join(tables)


def _at(count: str, cell: Callable[[Results], str]) -> Callable[[Results], str]:
    return lambda by_count: cell(by_count[count])


def _prompt(found: Mapping[str, Results]) -> str:
    columns = {"Response, ms": added("response_ms"), "Billed, ms": added("billed_ms"), "CPU, ms": added("cpu_ms")}
    return table(found, {**columns, **_DELIVERED})


def _stream(found: Mapping[str, Results]) -> str:
    columns = {"First piece, ms": added("first_ms", 2), "Each piece, µs": added("piece_us")}
    columns |= {"Response, ms": added("response_ms", 2), "CPU, ms": added("cpu_ms")}
    return table(found, columns)


SECTIONS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "cold": ("Cold start", "The first row is the function without telemetry, the others what is added to it.", _cold),
    "source": ("Cold start without bytecode", "As `sam build` and most tools deploy a package.", _cold),
    "warm": ("Warm invocation", "One model call of 50 ms, a backend that takes 30 ms, and a freeze after each.", _warm),
    "tls": (
        "HTTPS, with a round trip",
        "The backend is 20 ms away and takes 10 ms. The first invocation makes the connection.",
        _tls,
    ),
    "freeze": (
        "Freeze",
        "Three model calls of 0.7 s in each invocation, a freeze of 2 s after each, and after the last one the end.",
        _freeze,
    ),
    "kill": ("Kill", "SIGKILL after the model call, as when memory is used up, then another invocation.", _kill),
    "outage": (
        "A backend that hangs",
        "During some invocations. The timeout of the function is 5 s. Eight seconds later there are three more.",
        _outage,
    ),
    "refusal": ("A backend that refuses connections", "The same.", _outage),
    "calls": ("1 to 500 model calls in an invocation", "The model takes no time.", _calls),
    "prompt": ("A prompt of 1 MB", "One model call of 50 ms.", _prompt),
    "stream": ("Streaming", "An answer in 200 pieces, which are all there when the first one is.", _stream),
}


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
    yield (
        f"Measured on {document['day']}, in {document['seconds'] / 60:.0f} minutes, on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['system']}, Python {machine['python']}."
    )
    for name, (title, introduction, shown) in SECTIONS.items():
        if name in document["parts"]:
            yield f"### {title}\n\n{introduction}\n\n{shown(document['parts'][name])}"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    yield f"### Versions\n\n{versions}."


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
