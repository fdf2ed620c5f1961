"""A lower bound, written by hand: one request with the call's event, sent before the return, by the standard library.

It loses the event if that request fails.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bench_work import client, request, work

model = client()
where = urlsplit(os.environ["BENCH_BACKEND"])
kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
backend = kind(where.netloc, timeout=1)
HEAD = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    answer = work(model, event)
    calls = [json.dumps(request(event, number)["messages"]) for number in range(event.get("calls", 1))]
    try:
        backend.request("POST", "/v1/ingest", gzip.compress("\n".join(calls).encode(), 1), HEAD)
        backend.getresponse().read()
    except (OSError, http.client.HTTPException):
        with suppress(OSError):
            backend.close()
    return answer
