"""The library that draws the diagrams, as a file of the site: a reader's browser asks no other host for it."""

from __future__ import annotations

import hashlib
import posixpath
import re

from tools import vendor

from .project import ROOT

PACKAGE = "@mermaid-js/tiny@11.17.2"  # half of mermaid's size: without mind maps and architecture diagrams
SHA256 = "7a644017d37f93c8359790884e6b67fb1f747c78eb20475952404bd87190a3f8"
FILE = "assets/mermaid.js"


def is_used(text: str) -> bool:
    """Whether a page has a diagram."""
    return bool(re.search(r"^\s*```mermaid$", text, re.MULTILINE))


def script(url: str) -> str:
    """Return the element that loads the library on a page. The theme takes it before it would look elsewhere."""
    return f'\n<script src="{posixpath.relpath(FILE, url or ".")}"></script>\n'


def library() -> bytes:
    """Return the library, from npm or from what an earlier build has got there."""
    kept = ROOT / ".cache" / "mermaid-tiny-11.17.2.js"
    if not kept.exists():
        content = vendor.package(PACKAGE)["dist/mermaid.tiny.js"]
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise vendor.RegistryUnavailable(f"npm's {PACKAGE} is not the one that is known here")
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(content)
    return kept.read_bytes()
