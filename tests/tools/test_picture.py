"""The picture that README begins with."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from tools import picture

CALLS = [(3.0, 63.0), (66.0, 126.0)]
SDK = picture.Run(CALLS, 128.0, None, 129.0, 1960.0, 0)
PACKAGE = picture.Run(CALLS, 128.0, (128.0, 161.0), 163.0, None, 2)


def test_the_picture_is_an_svg_for_light_and_dark_pages() -> None:
    """It is well-formed, has a text for those who do not see it, colours for both themes, and all in its frame."""
    text = picture.svg(SDK, PACKAGE)
    root = ElementTree.fromstring(text)
    assert root.find("{*}desc") is not None
    assert "prefers-color-scheme: dark" in text
    assert "0 of 2 model calls arrived" in text
    assert "timer due after 2.0 s: never fires" in text
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= picture.WIDTH


def test_the_picture_of_the_docs_is_drawn_by_this_tool() -> None:
    """All but the figures of the run is as the tool draws it now."""
    shown, now = picture.TARGET.read_text(), picture.svg(SDK, PACKAGE)
    assert shown.partition("<rect")[0] == now.partition("<rect")[0]
    assert shown.count("<rect") == now.count("<rect")


@pytest.mark.host(seconds=6)
@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_a_freeze_cuts_off_the_timer_and_not_this_package() -> None:
    """None of the SDK's model calls arrive after a freeze, all of this package's have arrived before it."""
    sdk, package = picture.measure()
    assert (sdk.arrived, sdk.flush) == (0, None)
    assert sdk.due is not None
    assert sdk.frozen < sdk.due
    assert package.arrived == picture.MADE
    assert package.flush is not None
    assert package.response < package.flush[1] < package.frozen
