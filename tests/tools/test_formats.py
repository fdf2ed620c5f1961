"""The table of what an event costs in each format."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import formats

PAGE = (Path(__file__).parents[2] / "docs/backends.md").read_text()


def test_the_page_has_the_bytes_of_each_format() -> None:
    """They are the same on every machine, and the page is to be made anew when they change."""
    for row in formats.ours():
        _, name, size, *_ = row.split("|")
        assert f"|{name}|{size}|" in PAGE, f"run `python -m tools.formats`: {row}"


@pytest.mark.slow
def test_the_page_has_the_bytes_of_requests_of_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one, 50 and 500 events, without gzip, whose library varies."""
    monkeypatch.setattr(formats, "ROUNDS", 1)
    for row in formats.sizes():
        _, name, *sizes = row.split("|")
        assert f"|{name}|{'|'.join(sizes[:3])}|" in PAGE, f"run `python -m tools.formats`: {row}"
