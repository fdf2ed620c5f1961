"""The libraries of the page are npm's, byte for byte but for the names by which they find each other."""

from __future__ import annotations

import json

import pytest

from tools import vendor


def test_files_have_the_hashes_of_the_list() -> None:
    """No vendored file is changed by hand, and none is there that the list does not name."""
    files = {file.name: file.read_bytes() for file in vendor.FOLDER.iterdir() if file != vendor.HASHES}
    assert vendor.hashes(files) == json.loads(vendor.HASHES.read_text())
    assert files.keys() == vendor.FILES.keys()


@pytest.mark.host(seconds=10)
def test_files_are_those_of_npm() -> None:
    """What npm's packages of these versions give is what is in the folder."""
    try:
        made = vendor.made()
    except vendor.RegistryUnavailable as problem:
        pytest.skip(str(problem))
    assert vendor.hashes(made) == json.loads(vendor.HASHES.read_text())
