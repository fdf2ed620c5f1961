"""Policies, a secret that none of them lets pass, and objects that hold one."""

from __future__ import annotations

from typing import Any, NamedTuple

from zespan_serverless._record.policy import Policy
from zespan_serverless.settings import Settings

SECRET = "5up3r-hidden"
POLICY = Policy(Settings())
NO_KEYS = Policy(Settings(redact_keys=()))
UNSAID = Policy(Settings(store_prompts=False))


def redact(value: Any) -> Any:
    return POLICY.plain(value)


class Pair(NamedTuple):
    name: str
    password: str


class Plainly:
    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Lying(dict[str, Any]):
    """A dict that hides what it holds from everybody who asks."""

    def items(self) -> Any:
        raise RuntimeError("no items")

    def __iter__(self) -> Any:
        raise RuntimeError("no iteration")
