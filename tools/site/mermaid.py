"""The library that draws diagrams. It is a file of the site, so that browsers request it from no other host."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from contextlib import suppress

from tools import vendor

from .project import ROOT

PACKAGE = "@mermaid-js/tiny@11.17.2"  # half of mermaid's size: without mind maps and architecture diagrams
SCRIPT = "assets/mermaid.js"
# File of the site -> file of the package, and its SHA-256.
FILES = {
    SCRIPT: ("dist/mermaid.tiny.js", "7a644017d37f93c8359790884e6b67fb1f747c78eb20475952404bd87190a3f8"),
    "assets/mermaid.LICENSE.txt": ("LICENSE", "ec9fb67dcb25eccc416ed56e1aab819222c805a2a4bfe4cb19e7556bf2ffde80"),
}


def is_used(text: str) -> bool:
    """Whether a page has a diagram."""
    return bool(re.search(r"^\s*```mermaid$", text, re.MULTILINE))


def script(url: str) -> str:
    """Return the element that loads the library. The theme loads its own from another host unless one is present."""
    return f'\n<script src="{posixpath.relpath(SCRIPT, url or ".")}"></script>\n'


def library() -> dict[str, bytes]:
    """Return the files of the library, from npm or from the cache of an earlier build."""
    cache = ROOT / ".cache" / PACKAGE.replace("/", "-")
    if not cache.exists():
        content = vendor.package(PACKAGE)
        for inside, hash in FILES.values():
            if hashlib.sha256(content[inside]).hexdigest() != hash:
                raise vendor.RegistryUnavailable(f"{inside} of npm's {PACKAGE} does not match tools/site/mermaid.py")
        temporary = cache.with_suffix(f".{os.getpid()}")  # several processes may build at once
        for target, (inside, _) in FILES.items():
            path = temporary / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[inside])
        with suppress(OSError):
            temporary.rename(cache)
    return {target: (cache / target).read_bytes() for target in FILES}
