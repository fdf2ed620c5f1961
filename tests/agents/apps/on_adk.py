"""ADK's own server, as `adk api_server` and Cloud Run run it. HOW is what traces it; AGENTS is a folder of agents."""

from __future__ import annotations

import os
from pathlib import Path

import uvicorn
from google.adk.cli.fast_api import get_fast_api_app

import zespan_serverless
from zespan_serverless.asgi import ZespanMiddleware

HOW = os.environ.get("HOW", "plugin")
if HOW == "init":
    zespan_serverless.init()
app = get_fast_api_app(
    agents_dir=os.environ.get("AGENTS") or str(Path(__file__).parent / "adk_agents"),
    web=False,
    session_service_uri="memory://",
    artifact_service_uri="memory://",
    memory_service_uri="memory://",
    extra_plugins=["zespan_serverless.adk.ZespanPlugin"] if HOW == "plugin" else None,
)
if HOW == "middleware":
    app.add_middleware(ZespanMiddleware)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
