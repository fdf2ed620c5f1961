"""`--live`."""

from __future__ import annotations


def check() -> int:
    raise NotImplementedError
