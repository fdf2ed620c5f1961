"""The library that draws diagrams. It is a file of the site, so that browsers request it from no other host."""

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
    """Return the element that loads the library. The theme loads its own from another host unless one is present."""
    return f'\n<script src="{posixpath.relpath(FILE, url or ".")}"></script>\n'


def library() -> bytes:
    """Return the library, from npm or from the cache of an earlier build."""
    kept = ROOT / ".cache" / "mermaid-tiny-11.17.2.js"
    if not kept.exists():
        content = vendor.package(PACKAGE)["dist/mermaid.tiny.js"]
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise vendor.RegistryUnavailable(f"npm's {PACKAGE} does not match SHA256 in tools/site/mermaid.py")
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(content)
    return kept.read_bytes()
