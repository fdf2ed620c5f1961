"""Makes every call in every way with one tool in the process. `python -m tests.comparison.calls TOOL SDKS` prints,
as JSON, for each what the user gets and what the tool has recorded, and the versions of SDKS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from tests.comparison.tools import TOOLS, Tool, settled
from tests.providers.apis import APIS
from tests.providers.apis.api import Api
from tests.providers.endpoint import Endpoint, Json, Reply, serving, whole
from tests.providers.user import Raw, close, use

from . import helpers

ALL = {**APIS, **helpers.APIS}
WAYS = {
    "answer": "ask",
    "raw answer": "ask",
    "stream": "read",
    "raw stream": "read",
    "left stream": "leave",
    "broken stream": "read",
    "refused": "ask",
    "refused stream": "read",
}
"""How a call is made and ends -> what the user does."""

HAVE_RAW = ("openai", "anthropic", "groq")


def ways(api: Api) -> Iterator[str]:
    """Yield those that there are for an API."""
    for way, what in WAYS.items():
        if what == "ask" and api.ask is helpers.none:
            continue
        if what != "ask" and api.stream is None:
            continue
        if way.startswith("raw") and (api.name.split()[0] not in HAVE_RAW or api.name in helpers.APIS):
            continue
        yield way


def cells() -> Iterator[tuple[str, str, str]]:
    """API, way and client of every call."""
    for name, api in ALL.items():
        for way in ways(api):
            yield from ((name, way, side) for side in ("sync", "async"))


def reply_of(api: Api, way: str) -> Any:
    """Return what the provider answers."""

    def refuse(path: str, request: Json) -> Reply:
        return whole({"error": {"message": "no", "code": 400, "status": "X"}, "message": "no", "id": "e"}, status=400)

    def breaks(path: str, request: Json) -> Reply:
        status, headers, pieces = api.reply(path, request)
        return status, headers, [*pieces[: len(pieces) // 2], None]

    return refuse if way.startswith("refused") else breaks if way.startswith("broken") else api.reply


class Clients:
    """One client of each SDK, made at its first call."""

    def __init__(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        self._url, self._stack = url, stack
        self._made: dict[Any, Any] = {}

    async def of(self, api: Api, is_async: bool) -> Any:
        key = api.connect, is_async
        if key not in self._made:
            client = api.connect(self._url, is_async)
            if "aiobotocore" in type(client).__module__:
                client = await self._stack.enter_async_context(client)
            else:
                self._stack.push_async_callback(close, client)
            self._made[key] = client
            gc.freeze()  # keeps what is imported by now out of the collections after each call
        return self._made[key]


async def play(tool: Tool, endpoint: Endpoint, clients: Clients, cell: tuple[str, str, str]) -> Any:
    """Make one call: what the user has seen, and what the tool has."""
    name, way, side = cell
    endpoint.reply = reply_of(ALL[name], way)
    seen: list[str] = []
    client = await clients.of(ALL[name], side == "async")
    await use(Raw(client) if way.startswith("raw") else client, ALL[name], WAYS[way], seen, side == "async")
    return {"user": seen, "tool": [dataclasses.asdict(one) for one in await settled(tool)]}


async def play_all(tool: Tool) -> dict[str, Any]:
    """Return every cell."""
    played = {}
    with serving(lambda path, request: whole({})) as endpoint:
        async with contextlib.AsyncExitStack() as stack:
            clients = Clients(endpoint.url, stack)
            for cell in cells():
                played[" | ".join(cell)] = await play(tool, endpoint, clients, cell)
    return played


def main(name: str, sdks: str) -> None:
    """Print `packages` and `sdks` with their versions, and `cells`."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    tool = TOOLS[name]()
    tool.start()
    played = asyncio.run(play_all(tool))
    packages, installed = ([f"{one} {version(one)}" for one in names] for names in (tool.packages, sdks.split(",")))
    sys.stdout.write("\n" + json.dumps({"packages": packages, "sdks": installed, "cells": played}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
