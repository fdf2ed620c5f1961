"""Runs the scenarios of one framework in its environment: `python -m tests.frameworks.program FRAMEWORK`.

Prints as JSON, for each scenario: the events, the paths of the requests that the endpoint has received, and what the
scenario has returned or raised.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import json
import logging
import os
import sys
import traceback
from typing import Any

from tests.frameworks import model
from tests.providers.endpoint import serving
from zespan_serverless import testing, zespan_azure

FIELDS = (
    *("span_kind", "operation", "provider", "model", "input_tokens", "output_tokens", "status", "stream"),
    *("trace_id", "span_id", "parent_span_id", "tools_used", "tool_call_args", "metadata", "error_message"),
    *("agent_id", "agent_name", "agent_framework", "tool_call_result", "completion_text", "finish_reason"),
)


def main(framework: str, only: str = "") -> None:
    os.environ.update(
        OPENAI_API_KEY="k",
        ANTHROPIC_API_KEY="k",
        GOOGLE_API_KEY="k",
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="k",
        AWS_DEFAULT_REGION="eu-west-1",
        LITELLM_LOCAL_MODEL_COST_MAP="True",  # else LiteLLM asks GitHub for it
        NO_PROXY="127.0.0.1",
    )
    with serving(model.reply) as endpoint, testing.recording() as events, asyncio.Runner() as loop:
        os.environ["OPENAI_BASE_URL"] = f"{endpoint.url}/v1"
        scenarios = importlib.import_module(f"tests.frameworks.{framework}").scenarios(endpoint.url)
        seen: dict[str, Any] = {}
        for name, scenario in scenarios.items():
            if only in name:
                events.clear()
                endpoint.requests.clear()
                result = _invoke(scenario, loop)
                paths = [path for path, _ in endpoint.requests if not path.endswith("/count_tokens")]
                kept = [{field: event.get(field) for field in FIELDS} for event in events]
                seen[name] = {"result": repr(result), "paths": paths, "events": kept}
    print(json.dumps(seen, default=str))


def _invoke(scenario: Any, loop: asyncio.Runner) -> Any:
    """Run one scenario as an invocation of a function, on a host that runs several at once."""

    @zespan_azure
    def handler(mytimer: Any) -> Any:
        try:
            result = scenario()
            return (
                loop.run(_value(result), context=contextvars.copy_context()) if inspect.isawaitable(result) else result
            )
        except Exception as error:
            if "--debug" in sys.argv:
                traceback.print_exc()
            return f"raised {type(error).__name__}"

    return handler({})


async def _value(awaitable: Any) -> Any:
    return await awaitable


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    main(*[arg for arg in sys.argv[1:] if not arg.startswith("--")])
