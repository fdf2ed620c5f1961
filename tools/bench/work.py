"""The work of a warm invocation, counted: calls of functions, which do not depend on the machine."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from . import layers
from .instance import FUNCTIONS, environment
from .setting import Setting
from .subjects import BARE, SUBJECTS

SKIPPED = ("before", "sdk")  # without an extension, the package flushes before the return; and the timer sends later


def work(setting: Setting) -> dict[str, Any]:
    """One model call in each invocation. Everything is sent before the return."""
    setting.standins.model(0)
    found = {name: _count(setting, name) for name in setting.names if name not in SKIPPED}
    setting.standins.model()
    bare = found[BARE]
    return {
        name: {**counted, **{f"{kind}_added": counted[kind] - bare[kind] for kind in ("python", "c")}}
        for name, counted in found.items()
    }


def _count(setting: Setting, name: str) -> dict[str, int]:
    subject, backend = SUBJECTS[name], setting.standins.backend(0)
    path = [FUNCTIONS, layers.layer(subject), layers.runtime()]
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "_HANDLER": f"{subject.module}.handler",
        **environment(subject, setting.standins, backend),
    }
    command = [str(layers.python()), "-W", "ignore", str(FUNCTIONS / "bench_count.py"), subject.module]
    done = subprocess.run(command, env=env, cwd=FUNCTIONS, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} has failed:\n{done.stderr}")
    lines = (line for line in done.stdout.splitlines() if line.startswith('{"python"'))  # others are logs
    counted: dict[str, int] = json.loads(next(lines))
    return {**counted, "arrived": len(backend.arrived())}
