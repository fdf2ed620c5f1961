"""What is answered to a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Self


class Refused(Exception):
    """A request that is not answered as it wishes; the text says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Answer:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Any, status: int = 200) -> Self:
        """Return an answer in JSON."""
        return cls(status, json.dumps(document, separators=(",", ":")).encode())
