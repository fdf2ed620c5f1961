"""HTTP functions as Flask has them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import functions_framework

import zespan_serverless
from zespan_serverless import span, with_context, zespan_gcf

IMPORTED_IN = os.getpid()


def ask() -> str:
    from openai import OpenAI  # not by those who only say hello: it takes half a second

    answer = OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    return str(answer.choices[0].message.content)


@functions_framework.http
@zespan_gcf
def chat(request: flask.Request) -> Any:
    match request.path:
        case "/llm":
            return {"answer": ask()}
        case "/boom":
            raise ValueError("boom")
        case "/abort":
            flask.abort(404)
        case "/unavailable":
            return "later", 503
        case "/nothing":
            return None
        case "/exit":
            raise SystemExit(3)
        case "/sleep":
            time.sleep(float(request.args["s"]))
            return "slept"
        case "/user":
            with with_context(user_id=request.args["name"]), span("step"):
                time.sleep(0.05)
                return {"name": request.args["name"], "trace": str(zespan_serverless.traceparent())}
        case "/pids":
            return {"import": IMPORTED_IN, "serve": os.getpid()}
        case "/body":
            return request.stream.read()
    return "hello"


@functions_framework.http
def bare(request: flask.Request) -> Any:
    return "hello"


@zespan_gcf(flush_mode="after_response")
@functions_framework.http
def above(request: flask.Request) -> Any:
    """Return the framework's decorator below ours."""
    return "hello"


def numbers(gate: str | None = None) -> Iterator[str]:
    for number in range(3):
        while gate and not Path(gate, str(number)).exists():
            time.sleep(0.005)
        with span(f"piece {number}"):
            text = ask() if number == 1 else "piece"
        yield f"{number} {text}\n"


@functions_framework.http
@zespan_gcf
def stream(request: flask.Request) -> Any:
    gate = request.args.get("gate")
    match request.path:
        case "/generator":
            return numbers(gate)
        case "/tuple":
            return numbers(gate), 201, {"content-type": "text/plain"}
        case "/response":
            return flask.Response(flask.stream_with_context(numbers(gate)), 202)
        case "/broken":
            return broken()
        case "/file":
            return flask.send_file(__file__)
        case "/sized":
            return flask.Response(iter([b"12", b"345"]), headers={"content-length": "5"})
    return "no stream"


def broken() -> Iterator[str]:
    yield "one\n"
    raise ValueError("broken")
