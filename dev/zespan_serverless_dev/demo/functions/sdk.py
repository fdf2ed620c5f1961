"""With the official SDK, as on a server. BACKEND_URL is this demonstration's."""

from __future__ import annotations

import os
from typing import Any

import zespan

from .work import answer

zespan.init(api_key="zsp_demo", endpoint=os.environ["BACKEND_URL"] + "/v1/ingest", autopatch=False)
zespan.patch_openai()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event["question"])
