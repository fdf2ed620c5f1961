"""Invocations with many model calls, with a large prompt, and with a stream."""

from __future__ import annotations

from typing import Any

from .setting import Setting
from .subjects import CLOSEST
from .warm import measured

CALLS = (1, 10, 100, 500)
LARGE = 1_000_000  # bytes of a prompt
PIECES = 200


def calls(setting: Setting) -> dict[str, Any]:
    """From 1 to 500 model calls, which take no time, in one invocation."""
    setting, found = setting.only(CLOSEST), {}
    setting.standins.model(0)
    for count in CALLS:
        found[str(count)] = measured(setting, setting.rounds(200 // (count + 20) + 3), skipped=1, calls=count)
    setting.standins.model()
    return found


def prompt(setting: Setting) -> dict[str, Any]:
    """One model call with a prompt of 1 MB."""
    setting = setting.only(CLOSEST)
    return measured(setting, setting.rounds(20), prompt_bytes=LARGE)


def stream(setting: Setting) -> dict[str, Any]:
    """One model call whose answer is a stream of 200 pieces, all of which are there when the first one is."""
    setting = setting.only(CLOSEST)
    setting.standins.model(0.05, PIECES)
    found = measured(setting, setting.rounds(40), stream=True)
    setting.standins.model()
    return found
