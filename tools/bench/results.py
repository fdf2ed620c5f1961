"""The results in a file, with the machine and the versions they are of."""

from __future__ import annotations

import json
import os
import platform
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


def write(target: Path, parts: Mapping[str, Any], names: Sequence[str], scale: float, seconds: float) -> None:
    """Write the results, and keep those of other parts that the file has."""
    before = read(target) if target.exists() else {}
    document = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": {**before.get("versions", {}), **versions(names)},
        "scale": scale,
        "seconds": round(seconds),
        "parts": {**before.get("parts", {}), **parts},
    }
    target.write_text(_lines(document) + "\n")


def read(target: Path) -> dict[str, Any]:
    """Return results that have been written."""
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _lines(document: Any, depth: int = 3) -> str:
    """Return JSON with a line for each subject: short, and a change of the results can be read."""
    if depth == 0 or not isinstance(document, dict):
        return json.dumps(document)
    inner = ",\n".join(f"{json.dumps(name)}: {_lines(value, depth - 1)}" for name, value in document.items())
    return f"{{\n{inner}\n}}"
