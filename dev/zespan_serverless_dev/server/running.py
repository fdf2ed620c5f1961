"""Where tools on this machine find a server that is running: a file beside its runs, which only its owner may read."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from ..store.folder import is_private

FOLDER = Path(".zespan")
_NAME = "running.json"
_URL = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}")


class Running(NamedTuple):
    """A server: its URL, and the token for its API."""

    url: str
    token: str


def write(folder: Path, running: Running) -> None:
    """Record that a server is running."""
    path = folder / _NAME
    with contextlib.suppress(OSError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(running._asdict(), file)


def remove(folder: Path, running: Running) -> None:
    """Remove the file when the server has ended, unless another server has written its own since."""
    if find(folder) == running:
        with contextlib.suppress(OSError):
            (folder / _NAME).unlink()


def find(folder: Path = FOLDER) -> Running | None:
    """Return the server that keeps its runs in a folder, by default that of `zespan-serverless dev`; None if there is
    none. A killed server may have left its file, and does not respond.
    """
    try:
        path = folder / _NAME
        found = json.loads(path.read_text()) if is_private(path) else {}
        running = Running(str(found["url"]), str(found["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if _URL.fullmatch(running.url) else None
