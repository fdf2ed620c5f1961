"""Lifecycle records, which only the tools send; dev/PROTOCOL.md lists them."""

from __future__ import annotations

import time
from typing import Any

from .body import lines, parsed
from .span import BadBody, moment, number, text

Record = dict[str, Any]


def read(body: bytes) -> list[Record]:
    """The records of a request, each with `type`, `sandbox` and `at`."""
    return [checked(parsed(line)) for line in lines(body)]


def checked(record: Any) -> Record:
    """A record with a type, a sandbox and a time. Raises BadBody if it cannot be one."""
    if not isinstance(record, dict):
        raise BadBody("a lifecycle record is to be an object of JSON")
    kind, sandbox = text(record.get("type"), 40), text(record.get("sandbox"))
    if kind is None or sandbox is None:
        raise BadBody("a lifecycle record has no type or no sandbox")
    at = number(record.get("at"))
    return {**record, "type": kind, "sandbox": sandbox, "at": moment(time.time() * 1000 if at is None else at)}
