"""A Worker of which a snapshot is made after its import, see snapshot.mjs."""

import json
import random
from types import SimpleNamespace
from typing import Any

from zespan_serverless import flush, span, zespan_cloudflare


@zespan_cloudflare
class Default:
    async def fetch(self, request: Any) -> Any:
        with span("work"):
            return SimpleNamespace(status=200, headers={})


async def requests() -> str:
    """Serve two requests. Returns a random number, which the isolates have in common, and how many events are left."""
    number = random.random()
    for path in ("first", "second"):
        request = SimpleNamespace(url=f"https://worker.example/{path}", method="GET", headers={})
        await Default().fetch(request)
    report = flush()
    return json.dumps([number, report.pending])
