"""Several copies of the package in one process, and reloads."""

from __future__ import annotations

import signal
import sys
import time

from tests.conformance.program import FOLDER, Door, event, linger, say, send
from tests.conformance.situations.table import situation


@situation("copies", few=True)
def reloaded(door: Door) -> None:
    """A development server that reloads modules, ours among them."""
    import importlib

    door.serve()
    for _ in range(2):
        for name in sorted(_ours()):
            importlib.reload(sys.modules[name])
        door.decorate()
        say(door.serve())
        event()
    send(signal.SIGTERM)
    linger()


@situation("copies", few=True)
def imported_again(door: Door) -> None:
    """A development server that forgets modules and imports them again."""
    door.serve()
    for _ in range(2):
        _forget()
        door.decorate()
        say(door.serve())
        event()
    send(signal.SIGTERM)
    linger()


@situation("copies")
def two_copies(door: Door) -> None:
    """A vendored one and that of a layer, both in use: SIGTERM ends the process, and what each has is sent."""
    from pathlib import Path

    door.serve()
    event()
    if door.traced:
        package = Path(sys.modules["zespan_serverless"].__file__ or "").parent
        vendored = Path(FOLDER, "vendored", package.name)
        vendored.parent.mkdir()
        vendored.symlink_to(package)
        _forget()
        sys.path.insert(0, str(vendored.parent))
    second = door.another()
    say(second.serve())
    event()
    say(door.serve())
    send(signal.SIGTERM)
    linger()


@situation("copies", few=True)
def two_copies_and_a_handler(door: Door) -> None:
    """A handler above both is called once for each signal, and decides."""
    door.serve()
    _forget()
    second = door.another()
    second.serve()
    signal.signal(signal.SIGTERM, lambda number, frame: say("handler"))
    door.serve()
    send(signal.SIGTERM)
    second.serve()
    send(signal.SIGTERM)
    time.sleep(0.05)
    say("lives")
    sys.exit(6)


def _ours() -> list[str]:
    bare = not hasattr(sys.modules.get("zespan_serverless"), "__path__")
    return [] if bare else [name for name in sys.modules if name.split(".")[0] == "zespan_serverless"]


def _forget() -> None:
    for name in _ours():
        del sys.modules[name]
