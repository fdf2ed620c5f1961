"""One function for each thing that is to be seen."""

import asyncio
import contextvars
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import bp  # type: ignore[import-not-found]

from zespan_serverless import span, traceparent, zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(bp.bp)

LEFT_OPEN: list[Iterator[None]] = []
OWN = contextvars.ContextVar("own", default="")


@app.route(route="hello/{name?}")
@zespan_azure
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"Hello {req.params.get('name')}", status_code=201)


@app.route(route="ahello")
@zespan_azure
async def ahello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"Hello {req.params.get('name')}")


@app.route(route="plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello")


@app.route(route="aplain")
async def aplain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello")


@app.route(route="text")
@zespan_azure
def text(req: func.HttpRequest) -> str:
    return "just text"


@zespan_azure
@app.function_name("renamed")
@app.route(route="above")
def above(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"


@zespan_azure(environment="staging")
@app.route(route="aabove")
async def aabove(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"


@zespan_azure
@app.route(route="twice")
@zespan_azure
def twice(req: func.HttpRequest) -> str:
    return "once"


@app.route(route="declared")
@zespan_azure
def declared(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps([context.invocation_id, context.function_directory, context.trace_context.trace_parent])


@app.route(route="adeclared")
@zespan_azure
async def adeclared(req: func.HttpRequest, context) -> str:  # type: ignore[no-untyped-def]
    return json.dumps([context.invocation_id, context.function_directory, context.trace_context.trace_parent])


def shouting(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def shout(*args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs).upper()

    return shout


@app.route(route="between")
@shouting
@zespan_azure
@shouting
def between(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"


@app.route(route="boom")
@zespan_azure
def boom(req: func.HttpRequest) -> str:
    raise ValueError("no such thing")


@app.route(route="aboom")
@zespan_azure
async def aboom(req: func.HttpRequest) -> str:
    raise ValueError("no such thing")


@app.route(route="fails")
@zespan_azure
def fails(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("later", status_code=503)


@app.route(route="who")
@zespan_azure
def who(req: func.HttpRequest) -> str:
    """Says twice, some time apart, in which trace it is."""
    before = traceparent()
    with span(req.params["name"]):
        time.sleep(0.05)
    return json.dumps([before, traceparent(), threading.current_thread().name])


@app.route(route="awho")
@zespan_azure
async def awho(req: func.HttpRequest) -> str:
    before = traceparent()
    with span(req.params["name"]):
        await asyncio.sleep(0.05)
    return json.dumps([before, traceparent()])


def half_done() -> Iterator[None]:
    with span("never ends"):
        yield


@app.route(route="leaves")
@zespan_azure
def leaves(req: func.HttpRequest) -> str:
    """Return what a pooled thread takes along: our span, and one of the user's variables."""
    open_end = half_done()
    next(open_end)
    LEFT_OPEN.append(open_end)
    OWN.set("kept")
    return OWN.get()


@app.route(route="own")
@zespan_azure
def own(req: func.HttpRequest) -> str:
    return OWN.get()


@app.route(route="untraced")
def untraced(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"


@app.route(route="ask", methods=["POST"])
@zespan_azure
def ask(req: func.HttpRequest) -> str:
    from openai import OpenAI

    prompt = req.get_body().decode()
    answer = OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""


@app.route(route="aask", methods=["POST"])
@zespan_azure
async def aask(req: func.HttpRequest) -> str:
    from openai import AsyncOpenAI

    prompt = req.get_body().decode()
    async with AsyncOpenAI() as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""


@app.queue_trigger(arg_name="msg", queue_name="prompts", connection="STORAGE")
@app.queue_output(arg_name="answers", queue_name="answers", connection="STORAGE")
@zespan_azure
def on_queue(msg: func.QueueMessage, answers: func.Out[str]) -> None:
    answers.set(msg.get_body().decode().upper())


@app.route(route="leaves_untraced")
def leaves_untraced(req: func.HttpRequest) -> str:
    open_end = half_done()
    next(open_end)
    LEFT_OPEN.append(open_end)
    return "left"


LINGERING = asyncio.Event()


@app.route(route="alinger")
@zespan_azure
async def alinger(req: func.HttpRequest) -> str:
    LINGERING.set()
    await asyncio.sleep(0.5)
    return "done"


@app.route(route="lingering")
async def lingering(req: func.HttpRequest) -> str:
    return "yes" if LINGERING.is_set() else "no"
