"""The results in a file: for each Python, with the machine and the versions they are of."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zespan_serverless

from . import layers
from .subjects import OPENAI, RUNTIME, SUBJECTS

TARGET = Path(__file__).with_name("results.json")


def machine() -> dict[str, Any]:
    """Describe this machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of all that is compared."""
    found = layers.versions(layers.runtime(), [RUNTIME])
    for name in names:
        subject = SUBJECTS[name]
        found |= layers.versions(layers.layer(subject), [OPENAI, *subject.requirements])
    return found | {"zespan_serverless": zespan_serverless.__version__}


def write(target: Path, parts: Mapping[str, Any], names: Sequence[str], scale: float) -> None:
    """Write the results of this Python, and keep those of other parts and other Pythons that the file has."""
    kept, python = read(target), "{}.{}".format(*sys.version_info)
    before = kept.get(python, {})
    kept[python] = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": {**before.get("versions", {}), **versions(names)},
        "scale": scale,
        "parts": {**before.get("parts", {}), **parts},
    }
    ordered = sorted(kept, key=lambda python: int(python.partition(".")[2]))
    target.write_text(_lines({python: kept[python] for python in ordered}) + "\n")


def read(target: Path) -> dict[str, dict[str, Any]]:
    """Return results that have been written, by Python in ascending order; empty if there are none."""
    found: dict[str, dict[str, Any]] = json.loads(target.read_text()) if target.exists() else {}
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _lines(document: Any, depth: int = 4) -> str:
    """Return JSON with a line for each subject: short, and a change of the results can be read."""
    if depth == 0 or not isinstance(document, dict):
        return json.dumps(document)
    inner = ",\n".join(f"{json.dumps(name)}: {_lines(value, depth - 1)}" for name, value in document.items())
    return f"{{\n{inner}\n}}"
