"""Functions for OpenWhisk, with each number of parameters. The event asks for the outcome."""

from __future__ import annotations

import os
from typing import Any

from openai import OpenAI

import zespan_serverless

HOW = os.environ.get("HOW", "decorator")
if HOW == "init":
    zespan_serverless.init()
decorate: Any = zespan_serverless.zespan_openwhisk if HOW == "decorator" else lambda function: function


def ask() -> None:
    with OpenAI(max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


@decorate  # type: ignore[untyped-decorator, unused-ignore]
def of_none() -> Any:
    ask()
    return {"body": "none"}


@decorate  # type: ignore[untyped-decorator, unused-ignore]
def of_one(args: Any) -> Any:
    ask()
    if args.get("kind") == "raises":
        raise LookupError("mine")
    results = {"503": {"statusCode": 503}, "error": {"error": "no such text"}, "404": {"error": {"statusCode": 404}}}
    return results.get(args.get("kind"), {"body": "one"})


@decorate  # type: ignore[untyped-decorator, unused-ignore]
def of_two(event: Any, context: Any) -> Any:
    ask()
    return {"body": context.function_name, "left": context.get_remaining_time_in_millis()}
