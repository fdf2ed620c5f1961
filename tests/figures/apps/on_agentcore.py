"""An agent on the runtime of AgentCore."""

from __future__ import annotations

import os
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp

from tests.figures import subject
from zespan_serverless import zespan_agentcore

app = BedrockAgentCoreApp()
subject.start()


def agent(payload: Any) -> str:
    subject.ask()
    return "done"


app.entrypoint(zespan_agentcore(agent) if subject.HOW == "package" else agent)

if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
