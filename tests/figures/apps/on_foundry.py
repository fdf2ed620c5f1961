"""An agent on the host of Azure AI Foundry."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from azure.ai.agentserver.invocations import InvocationAgentServerHost
from starlette.responses import JSONResponse

from tests.figures import subject
from zespan_serverless.asgi import ZespanMiddleware

app = InvocationAgentServerHost(configure_observability=None, access_log=None)
subject.start()
if subject.HOW == "package":
    app.add_middleware(ZespanMiddleware)


@app.invoke_handler
async def invoke(request: Any) -> Any:
    await asyncio.to_thread(subject.ask)
    return JSONResponse({})


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
