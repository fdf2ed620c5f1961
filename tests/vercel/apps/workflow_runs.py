"""Runs the workflows beside this file, and that of the documentation's page, in the SDK's own local world.

Prints the results by name, and ends without anything that runs at the end of a process.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any

from vercel.workflow import start

TRACEPARENT = sys.argv[1]


async def main() -> None:
    page = importlib.import_module("workflow_page")  # which the test writes
    runs: dict[str, Any] = {
        "twice": await start(importlib.import_module("workflow_app").twice, {"traceparent": TRACEPARENT}),
        "asks": await start(importlib.import_module("workflow_excepted").asks, "Hi"),
        "report": await start(page.report, "Hi"),
    }
    results = {name: await run.return_value() for name, run in runs.items()}
    sys.stdout.write(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)  # nothing is sent after the workflows have ended


asyncio.run(main())
