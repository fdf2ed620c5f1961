"""With the official SDK, and a flush before the answer. BACKEND_URL is this demonstration's."""

from __future__ import annotations

import os
from typing import Any

import zespan
from zespan.client import get_client

from .work import answer

zespan.init(api_key="zsp_demo", endpoint=os.environ["BACKEND_URL"] + "/v1/ingest", autopatch=False)
zespan.patch_openai()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        return answer(event["question"])
    finally:
        get_client().flush()
