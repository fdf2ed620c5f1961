"""Runs the calls with one tool each, in the environments that have them."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

from tests import environments

from .table import COLUMNS, Cells, measured

_OWN_SDKS = ("opentelemetry",)  # environments in which an SDK has another version than elsewhere
_SECONDS = 400  # at most, for a run that takes 15 on a machine that does nothing else
_SDKS = ("openai", "anthropic", "groq", "mistralai", "cohere", "google-genai", "boto3", "aiobotocore")


@functools.cache
def ran(tool: str, where: str = "") -> Any:
    """Return what `tests.comparison.calls` prints, run in the environment of the tool, or of another."""
    where = where or tool
    own = environments.ENVIRONMENTS["comparison"]
    python = environments.installed("comparison", where) if where in own else Path(sys.executable)
    printed = environments.run(
        python, "tests.comparison.calls", tool, ",".join(_SDKS), seconds=_SECONDS, ZESPAN_ENABLED="1"
    )
    return json.loads(printed.splitlines()[-1])


def column(tool: str) -> Cells:
    """Return what a tool captures, beside what the user gets without it."""
    return measured(tool, ran(tool), ran("nobody", tool) if tool in _OWN_SDKS else ran("nobody"))


def versions() -> str:
    """Return what has been measured, as text for the page."""
    lines = [f"{name}: {', '.join(ran(tool)['packages'])}" for tool, name in COLUMNS.items()]
    everywhere = ran("nobody")["sdks"]
    lines.append(f"SDKs: {', '.join(everywhere)}")
    for tool in _OWN_SDKS:
        others = [sdk for sdk in ran(tool)["sdks"] if sdk not in everywhere]
        lines.append(f"SDKs beside {COLUMNS[tool]}: {', '.join(others)}, the rest as above")
    return "\n".join(f"* {line}" for line in lines)
