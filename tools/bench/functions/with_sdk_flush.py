"""With the official SDK, and a flush before the return."""

from __future__ import annotations

from typing import Any

import with_sdk
import zespan


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        return with_sdk.handler(event, context)
    finally:
        zespan.get_client().flush()
