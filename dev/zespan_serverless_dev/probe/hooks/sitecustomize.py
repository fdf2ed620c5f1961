"""Loads the probe before anything else, and then the `sitecustomize` that the program would have had without it.

This folder is put in front of PYTHONPATH by the tools. Without ZESPAN_PROBE nothing but the second part happens.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder

_FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib would be one more import)


def _run(name: str, path: str) -> None:
    """Run a file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        if name == __name__:
            sys.modules[name] = module  # which is what the program gets by `import sitecustomize`
        spec.loader.exec_module(module)
        if name == "zespan_probe":
            module.install(os.environ["ZESPAN_PROBE"])


def _next() -> str | None:
    """Return the file of the next `sitecustomize` on the path."""
    places = [os.path.abspath(place) for place in sys.path]  # noqa: PTH100
    after = places[places.index(_FOLDER) + 1 :] if _FOLDER in places else []
    spec = PathFinder.find_spec("sitecustomize", [place for place in after if place != _FOLDER])
    return spec.origin if spec is not None else None


if "ZESPAN_PROBE" in os.environ:
    _run("zespan_probe", os.path.join(os.path.dirname(_FOLDER), "inside.py"))  # noqa: PTH118, PTH120
if (_users := _next()) is not None:
    _run(__name__, _users)
