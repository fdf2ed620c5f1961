"""Workers are no scripts: one run would contain all their jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev.init.command import init

WORKERS = {
    "runpod": "import runpod",
    "temporal": "from temporalio.worker import Worker",
    "rq": "from rq import Queue, Worker",
    "agentcore": "from bedrock_agentcore import BedrockAgentCoreApp",
    "foundry": "from azure.ai.agentserver.invocations import InvocationAgentServerHost",
}
MAIN = """
from openai import OpenAI


def main():
    serve()


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("name", WORKERS)
def test_main_of_a_worker_is_no_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKERS[name] + MAIN)
    assert "@run" not in init(tmp_path).out


def test_main_of_a_publisher_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "publish.py").write_text("from rq import Queue" + MAIN)
    assert '+@run("publish")' in init(tmp_path).out
