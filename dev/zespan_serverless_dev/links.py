"""Addresses of pages of the documentation. `[project.urls]` of pyproject.toml is the one place that has them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

DISTRIBUTION = "zespan-serverless-dev"


def page(name: str) -> str:
    """Return where a page of docs/ can be read: on the site, else in the public repository, else its path there.

    `name` is its path in docs/ without the suffix: `doctor/ZS001`.
    """
    urls = _urls()
    if site := urls.get("documentation"):
        return f"{site}/{name}/"
    path = f"docs/{name}.md"
    return f"{urls['source']}/blob/main/{path}" if "source" in urls else path


@cache
def _urls() -> dict[str, str]:
    """Return the addresses of the installed distribution, by lower-case label, without a slash at the end."""
    try:
        lines = metadata(DISTRIBUTION).get_all("Project-URL") or []
    except PackageNotFoundError:
        return {}
    pairs = (line.partition(", ") for line in lines)
    return {label.lower(): address.strip().rstrip("/") for label, _, address in pairs}
