"""Builds the documentation site.

python -m tools.site               builds it in build/site/html, and fails on any warning or dead link
python -m tools.site serve         builds it, serves it on http://127.0.0.1:8000/, and rebuilds it when a page changes
python -m tools.site serve 8001    the same on another port
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.vendor import RegistryUnavailable

from .build import FOLDER, BuildFailed, build
from .links import DeadLink
from .markdown import WrongTabs
from .navigation import NotListed
from .project import ROOT
from .reference import Undocumented

PORT = 8000
_PROBLEMS = (BuildFailed, DeadLink, NotListed, RegistryUnavailable, Undocumented, WrongTabs)


def attempt() -> bool:
    """Build the site, and print where it is or what is wrong; return whether it was built."""
    began = time.monotonic()
    try:
        html = build()
    except _PROBLEMS as problem:
        print(problem, file=sys.stderr)
        return False
    print(f"built {html.relative_to(ROOT)} in {time.monotonic() - began:.1f} s")
    return True


def serve(port: int) -> int:
    """Serve the site to this machine until Ctrl-C; look for changed pages twice a second."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(FOLDER / "html"))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as problem:
        print(f"port {port}: {problem}. Try another: python -m tools.site serve {port + 1}", file=sys.stderr)
        return 1
    attempt()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{port}/")
    seen = _changed()
    while True:
        time.sleep(0.5)
        if (now := _changed()) != seen:
            seen = now
            attempt()


def _changed() -> dict[Path, float]:
    files = (path for name in ("docs", "deploy", "examples") for path in (ROOT / name).rglob("*.*"))
    return {path: path.stat().st_mtime for path in (*files, *ROOT.glob("*.md"), ROOT / "mkdocs.yml") if path.is_file()}


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            return not attempt()
        case ["serve", *port] if all(map(str.isdecimal, port)) and len(port) < 2:
            return serve(int(port[0]) if port else PORT)
    print(__doc__)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
