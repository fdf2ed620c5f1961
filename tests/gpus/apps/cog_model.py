"""Cog models, one for each kind of function. HOW is what traces them: `room`, `init`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from cog import BaseRunner, concurrent

import zespan_serverless
from zespan_serverless import capture, zespan_cog

traced: Any = zespan_cog(user_id=lambda inputs: inputs["user"])
if os.environ["HOW"] == "init":
    zespan_serverless.init()
    traced = lambda function: function  # noqa: E731


def ask(raises: bool) -> str:
    capture({"operation": "inside"})
    if raises:
        raise LookupError("mine")
    return "answer"


class Sync(BaseRunner):
    @traced
    def run(self, user: str, raises: bool = False) -> str:
        return ask(raises)


class Coroutine(BaseRunner):
    @concurrent(max=8)
    @traced
    async def run(self, user: str, raises: bool = False, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        return ask(raises)


class Generator(BaseRunner):
    @traced
    def run(self, user: str, raises: bool = False) -> Iterator[str]:
        yield "piece"
        yield ask(raises)


class AsyncGenerator(BaseRunner):
    @traced
    async def run(self, user: str, raises: bool = False) -> AsyncIterator[str]:
        yield "piece"
        yield ask(raises)
