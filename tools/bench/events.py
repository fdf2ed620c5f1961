"""One process that captures 1,000, 5,000 and 10,000 events a second, with the default settings."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from . import layers
from .instance import FUNCTIONS, environment
from .setting import Setting
from .subjects import SUBJECTS

RATES = (1_000, 5_000, 10_000)  # events a second
SECONDS = 5.0


def events(setting: Setting) -> dict[str, Any]:
    """Capture events of 1 KB, which a background thread sends to a backend 30 ms away."""
    return {str(rate): _capture(setting, rate, max(0.2, SECONDS * setting.scale)) for rate in RATES}


def _capture(setting: Setting, rate: int, seconds: float) -> dict[str, Any]:
    subject, backend = SUBJECTS["package"], setting.standins.backend()
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(map(str, [FUNCTIONS, layers.layer(subject)])),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment(subject, setting.standins, backend),
    }
    command = [str(layers.python()), str(FUNCTIONS / "bench_events.py"), str(rate), str(seconds)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        raise RuntimeError(f"the capture of {rate} events a second has failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    arrived = len(backend.arrived()) - 1  # without the event that is captured before the measurement
    return {**found, "arrived": arrived, "requests": backend.requests() - 1}
