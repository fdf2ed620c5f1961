"""The pictures of one invocation on each host."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tools import timelines


@pytest.mark.parametrize("name", timelines.PICTURES)
def test_a_picture_is_an_svg_for_light_and_dark_pages(name: str) -> None:
    """It is well-formed, has a text for those who do not see it, colours for both themes, and all in its frame."""
    text = timelines.svg(timelines.PICTURES[name])
    root = ElementTree.fromstring(text)
    assert root.find("{*}desc") is not None
    assert "prefers-color-scheme: dark" in text
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= timelines.WIDTH


def test_the_pictures_of_the_docs_are_drawn_by_this_tool() -> None:
    """docs/images/timelines/ has each picture as it is drawn now: otherwise run `python -m tools.timelines`."""
    drawn = {f"{name}.svg": timelines.svg(picture) for name, picture in timelines.PICTURES.items()}
    assert {file.name: file.read_text() for file in timelines.FOLDER.iterdir()} == drawn
