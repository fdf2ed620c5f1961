"""A workflow of Vercel's SDK, whose sandbox imports this module for each replay."""

from __future__ import annotations

from typing import Any

from vercel.workflow import RetryableError, Workflows, get_step_metadata

from zespan_serverless import zespan_vercel_step

wf: Any = Workflows(namespace="plain")


@wf.step
@zespan_vercel_step(environment="workflow")
async def shout(word: str) -> str:
    from zespan_serverless import span

    with span("inside"):
        if (word, get_step_metadata().attempt) == ("a", 1):
            raise RetryableError("once more", retry_after=0)
    return word.upper()


@wf.step(max_retries=0)
@zespan_vercel_step
async def fail(carried: dict[str, str]) -> str:
    raise LookupError("mine")


@wf.workflow
async def twice(carried: dict[str, str]) -> str:
    word: str = await shout("a") + await shout("b")
    try:
        await fail(carried)
    except Exception as error:
        word += type(error).__name__
    return word
