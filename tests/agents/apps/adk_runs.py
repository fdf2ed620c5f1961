"""Runs of ADK's runner without a server, and what becomes of the plugin when its application is copied.

Prints a line of JSON for each step.
"""

# ruff: noqa: T201

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.adk.apps import App
from google.adk.runners import InMemoryRunner
from google.genai import types

from tests.documentation import PAGES, blocks, run
from tests.support import roots
from zespan_serverless import testing
from zespan_serverless.adk import ZespanPlugin

sys.path.insert(0, str(Path(__file__).parent / "adk_agents"))
agent: Any = __import__("demo.agent").agent.root_agent


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


async def ask(plugin: ZespanPlugin, text: str, *, leave: bool = False) -> str:
    """Ask the agent once, in a runner of its own. Give its answer, or the name of its exception."""
    runner = InMemoryRunner(app=App(name="demo", root_agent=agent, plugins=[plugin]))
    session = await runner.session_service.create_session(app_name="demo", user_id="bob")
    message = types.Content(role="user", parts=[types.Part(text=text)])
    answer = ""
    try:
        events = runner.run_async(user_id="bob", session_id=session.id, new_message=message)
        async with contextlib.aclosing(events):
            async for event in events:
                answer = str(event.content.parts[0].text) if event.content else ""
                if leave:
                    break
    except Exception as error:
        return type(error).__name__
    return answer


async def break_off(plugin: ZespanPlugin) -> None:
    """Leave a run without closing its generator, and ask again in the same task."""
    runner = InMemoryRunner(app=App(name="demo", root_agent=agent, plugins=[plugin]))
    session = await runner.session_service.create_session(app_name="demo", user_id="bob")
    message = types.Content(role="user", parts=[types.Part(text="Hi")])
    kept = runner.run_async(user_id="bob", session_id=session.id, new_message=message)
    async for _ in kept:
        break
    await ask(plugin, "Hi")
    await kept.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (it is no event of a loop)
            await asyncio.sleep(0.01)


async def main() -> None:
    plugin = ZespanPlugin(exporter="memory", flush_mode="before_return")
    with testing.recording() as events:
        say(answer=await ask(plugin, "Hi"), events=len(events))
        say(answer=await ask(plugin, "fails"), errors=[event["metadata"].get("error.type") for event in roots(events)])
        await ask(plugin, "Hi", leave=True)
        cancelled = asyncio.create_task(ask(plugin, "hangs"))
        await until(lambda: len(events) == 7)
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        await until(lambda: len(events) == 8)
        say(events=len(events), cancelled=roots(events)[-1]["metadata"].get("error.type"))
        for made in (pickle.loads(pickle.dumps(plugin)), copy.deepcopy(plugin)):
            say(answer=await ask(made, "Hi"), name=made.name)
        say(events=len(events))
        await break_off(plugin)
        say(events=len(events), traces=len({event["trace_id"] for event in events[-4:]}), roots=len(roots(events[-4:])))


asyncio.run(main())
page = run(blocks(PAGES["hosts/agent-engine"])[0])
say(page=page.app.name, plugins=[type(plugin).__name__ for plugin in page.app.plugins])
