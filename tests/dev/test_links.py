"""Where the tools say that their pages can be read."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message

import pytest
from zespan_serverless_dev import links
from zespan_serverless_dev.doctor.rules import rules

SITE, SOURCE = "Documentation, https://docs.example/", "Source, https://github.com/owner/name"


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    links._urls.cache_clear()
    yield
    links._urls.cache_clear()


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        ([SITE, SOURCE], "https://docs.example/doctor/ZS001/"),
        ([SOURCE], "https://github.com/owner/name/blob/main/docs/doctor/ZS001.md"),
        ([], "docs/doctor/ZS001.md"),
    ],
    ids=["site", "repository", "neither"],
)
def test_a_finding_names_its_page(urls: list[str], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the site if the distribution has one, else in the repository, as the distribution's metadata says."""
    message = Message()
    for url in urls:
        message["Project-URL"] = url
    monkeypatch.setattr(links, "metadata", {links.DISTRIBUTION: message}.__getitem__)
    assert rules()["ZS001"][0].page == address
