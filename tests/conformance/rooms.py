"""The table of decorators and middlewares. Each row serves one invocation in the way of its platform.

The process may not have imported the package yet, or runs without it (see `bare`). So each row imports, inside its
function, what the user's module would import.
"""

from __future__ import annotations

import functools
import json
import os
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, NamedTuple

Work = Callable[[], Any]
Serve = Callable[[], Any]
Start = Callable[[Work], Serve]

EVENT = {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": "{}"}]}
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
JOB: dict[str, Any] = {"id": "1", "input": {"traceparent": TRACEPARENT}}


class Room(NamedTuple):
    """`start(work)` decorates a function, as a user's module does at its import. It returns a function that serves one
    invocation: this calls `work` once, and returns its result."""

    start: Start
    awaits: bool = False
    """Whether `work` is called on an event loop; then it may be a coroutine function."""
    keeps_loop: bool = False
    """Whether the event loop is kept between invocations."""
    roots: int = 1
    """Number of root events of one invocation."""


class LambdaContext:
    """The `context` that awslambdaric passes, as far as we read it."""

    aws_request_id, function_name, function_version = "request", "function", "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    memory_limit_in_mb = "512"

    def get_remaining_time_in_millis(self) -> int:
        return 1_000_000


class Request:
    """A request like Flask's."""

    method, path, scheme, headers = "GET", "/a", "https", {"host": "h", "traceparent": TRACEPARENT}


class CloudEvent:
    def __init__(self) -> None:
        self.data = {"message": {"data": "eA=="}}

    def get_attributes(self) -> dict[str, str]:
        return {"id": "1", "type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub/topics/t"}


CONTEXT = LambdaContext()


def _await(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(coroutine)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Yield one turn of whatever loop it is: asyncio.sleep(0)."""
    yield


async def _done(work: Work) -> Any:
    result = work()
    return await result if isinstance(result, types.CoroutineType) else result


# ---------------------------------------------------------------------- AWS Lambda


def _lambda(work: Work) -> Serve:
    from zespan_serverless import zespan_lambda

    handler = zespan_lambda(lambda event, context: work())
    return lambda: handler(EVENT, CONTEXT)


def _lambda_async(work: Work) -> Serve:
    from zespan_serverless import zespan_lambda

    @zespan_lambda(flush_mode="before_return")
    async def handler(event: object, context: object) -> Any:
        await _turn()
        return await _done(work)

    return lambda: handler(EVENT, CONTEXT)


def _lambda_awaited(work: Work) -> Serve:
    from zespan_serverless import zespan_lambda

    @zespan_lambda
    async def handler(event: object, context: object) -> Any:
        return await _done(work)

    async def test() -> Any:
        return await handler(EVENT, CONTEXT)

    return lambda: _await(test())


def _lambda_records(work: Work) -> Serve:
    from zespan_serverless import traced_records, zespan_lambda

    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        results = [work() for _ in traced_records(EVENT)]
        assert len(results) == 1
        return results[0]

    return lambda: handler(EVENT, CONTEXT)


def _lambda_steps(work: Work) -> Serve:
    import zespan_serverless
    from zespan_serverless import span, with_context, zespan_lambda

    @zespan_lambda(session_id=lambda event: "s")
    def handler(event: object, context: object) -> Any:
        with with_context(user_id="u", tags={"a": "b"}), span("step") as details:
            details["a"] = 1
            zespan_serverless.capture({"operation": "x"})
            zespan_serverless.traceparent()
            with span("agent", kind="agent"), span("ask", kind="llm", model="m", provider="p", messages="Hi") as call:
                call.first_token()
                call.output("x")
                call.usage(input_tokens=1, output_tokens=1)
            with span("tool", kind="tool", arguments=[1]) as tool, span("search", kind="retriever") as search:
                tool.result("x")
                search.documents(["x"])
            return work()

    return lambda: handler(EVENT, CONTEXT)


def _lambda_generator(work: Work) -> Serve:
    from zespan_serverless import zespan_lambda

    @zespan_lambda
    def handler(event: object, context: object) -> Iterator[Any]:
        yield b"x"
        yield work()

    return lambda: list(handler(EVENT, CONTEXT))[1]


# ---------------------------------------------------------------------- web applications


def _asgi(work: Work, *, wrap: str = "asgi", streams: bool = False) -> Serve:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        if streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        result = await _done(work)
        if not streams:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"x", "result": result})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", b"example.com"), (b"traceparent", TRACEPARENT.encode())]
    scope = {"type": "http", "method": "GET", "path": "/a", "headers": headers}
    wrapped = _middleware(wrap)(app)

    def serve() -> Any:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        _await(wrapped(dict(scope), receive, send))
        assert [one["type"] for one in sent] == ["http.response.start", *["http.response.body"] * (1 + streams)]
        return sent[-1]["result"]

    return serve


def _wsgi(work: Work, *, wrap: str = "wsgi", streams: bool = False) -> Serve:
    def pieces() -> Iterator[Any]:
        yield b"x"
        yield work()

    def app(environ: Any, start_response: Callable[..., Any]) -> Any:
        result = pieces() if streams else [b"x", work()]
        start_response("200 OK", [("Content-Length", "1")])
        return result

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "HTTP_HOST": "h", "HTTP_TRACEPARENT": TRACEPARENT}
    wrapped = _middleware(wrap)(app)

    def serve() -> Any:
        started: list[str] = []
        body = wrapped(dict(environ), lambda status, headers: started.append(status))
        try:
            result = list(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        assert started == ["200 OK"]
        assert result[0] == b"x"
        return result[1]

    return serve


def _middleware(name: str) -> Callable[[Any], Any]:
    from zespan_serverless import asgi, wsgi, zespan_vercel

    wraps: dict[str, Callable[[Any], Any]] = {
        "asgi": asgi.ZespanMiddleware,
        "wsgi": wsgi.ZespanMiddleware,
        "vercel": zespan_vercel,
    }
    return wraps[name]


def _vercel(work: Work) -> Serve:
    import io
    from email.message import Message
    from http.server import BaseHTTPRequestHandler

    from zespan_serverless import zespan_vercel

    @zespan_vercel
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> Any:
            self.send_response(200)
            self.end_headers()
            return work()

        def log_message(self, format: str, *args: Any) -> None: ...

    def serve() -> Any:
        request = Handler.__new__(Handler)
        request.command, request.path, request.headers = "GET", "/a", Message()
        request.request_version, request.requestline, request.close_connection = "HTTP/1.1", "GET /a HTTP/1.1", True
        request.wfile = io.BytesIO()
        return request.do_GET()

    return serve


# ---------------------------------------------------------------------- Google Cloud


def _google(work: Work) -> Serve:
    from zespan_serverless import zespan_gcf

    function: Any = zespan_gcf(lambda request: work())
    return lambda: function(Request())


def _google_async(work: Work) -> Serve:
    from zespan_serverless import zespan_gcf

    @zespan_gcf(flush_timeout=0.5)
    async def function(request: object) -> Any:
        return await _done(work)

    return lambda: _await(function(Request()))


def _google_streamed(work: Work) -> Serve:
    from zespan_serverless import zespan_gcf

    def pieces() -> Iterator[Any]:
        yield b"x"
        yield work()

    function: Any = zespan_gcf(lambda request: pieces())
    return lambda: list(function(Request()))[1]


def _google_generator(work: Work) -> Serve:
    from zespan_serverless import zespan_gcf

    async def pieces(request: object) -> AsyncIterator[Any]:
        yield b"x"
        yield await _done(work)

    function = zespan_gcf(pieces)

    async def read() -> Any:
        return [piece async for piece in function(Request())][1]

    return lambda: _await(read())


def _google_event(work: Work) -> Serve:
    from zespan_serverless import zespan_cloud_event

    function: Any = zespan_cloud_event(lambda event: work())
    return lambda: function(CloudEvent())


def _google_job(work: Work) -> Serve:
    from zespan_serverless import zespan_job

    return zespan_job(lambda: work())


# ---------------------------------------------------------------------- Azure Functions


def _azure(work: Work) -> Serve:
    from zespan_serverless import zespan_azure

    @zespan_azure
    def function(req: object) -> Any:
        return work()

    trace = types.SimpleNamespace(trace_parent=TRACEPARENT)
    context = types.SimpleNamespace(function_name="f", invocation_id="i", trace_context=trace)
    return lambda: function(req=Request(), context=context)  # type: ignore[call-arg]


def _azure_async(work: Work) -> Serve:
    from zespan_serverless import zespan_azure

    @zespan_azure(flush_mode="before_return")
    async def function(req: object) -> Any:
        return await _done(work)

    return lambda: _await(function(req=Request(), context=None))  # type: ignore[call-arg]


# ---------------------------------------------------------------------- Bedrock AgentCore


def _agentcore(work: Work) -> Serve:
    from zespan_serverless import zespan_agentcore

    @zespan_agentcore
    def agent(payload: object) -> Any:
        return work()

    return lambda: agent({"prompt": "Hi"})


def _agentcore_async(work: Work) -> Serve:
    from zespan_serverless import zespan_agentcore

    @zespan_agentcore(flush_mode="before_return")
    async def agent(payload: object, context: object) -> Any:
        return await _done(work)

    request = types.SimpleNamespace(headers={"traceparent": TRACEPARENT}, scope={"app": None})
    return lambda: _await(agent({"prompt": "Hi"}, types.SimpleNamespace(request=request)))


def _agentcore_generator(work: Work) -> Serve:
    from zespan_serverless import zespan_agentcore

    @zespan_agentcore
    async def agent(payload: object) -> AsyncIterator[Any]:
        yield b"x"
        yield await _done(work)

    async def read() -> Any:
        return [piece async for piece in agent({})][1]

    return lambda: _await(read())


def _agentcore_streamed(work: Work) -> Serve:
    from zespan_serverless import zespan_agentcore

    def pieces() -> Iterator[Any]:
        yield b"x"
        yield work()

    function: Any = zespan_agentcore(lambda payload: pieces())
    return lambda: list(function({}))[1]


# ---------------------------------------------------------------------- platforms that freeze after a response


class OracleContext:
    """The `ctx` of fdk."""

    def __getattr__(self, name: str) -> Callable[[], object]:
        headers = {"fn-deadline": "2999-01-01T00:00:00Z", "fn-intent": "httprequest", "traceparent": TRACEPARENT}
        values = {"CallID": "call", "FnName": "f", "Headers": headers, "Method": "GET", "RequestURL": "/a?b"}
        return lambda: values[name]


def _oracle(work: Work) -> Serve:
    from zespan_serverless import zespan_oracle

    @zespan_oracle
    def handler(ctx: object, data: object = None) -> Any:
        return work()

    return lambda: handler(OracleContext(), data=None)


def _oracle_async(work: Work) -> Serve:
    from zespan_serverless import zespan_oracle

    @zespan_oracle(flush_timeout=0.5)
    async def handler(ctx: object, data: object = None) -> Any:
        return await _done(work)

    return lambda: _await(handler(OracleContext(), data=None))


def _oracle_passing(work: Work) -> Serve:
    from zespan_serverless import zespan_oracle

    @zespan_oracle
    def handler(ctx: object, data: object = None) -> Any:
        return _done(work)

    return lambda: _await(handler(OracleContext(), data=None))


def _alibaba(work: Work) -> Serve:
    from zespan_serverless import zespan_alibaba

    event = {"rawPath": "/a", "headers": {"Traceparent": TRACEPARENT}, "requestContext": {"http": {"method": "GET"}}}
    function = types.SimpleNamespace(name="f", timeout=1000)
    context = types.SimpleNamespace(request_id="request", function=function)

    @zespan_alibaba
    def handler(event: object, context: object) -> Any:
        return work()

    return lambda: handler(json.dumps(event).encode(), context)


def _openwhisk(work: Work) -> Serve:
    from zespan_serverless import zespan_openwhisk

    event = {"http": {"method": "GET", "path": "/a", "headers": {"traceparent": TRACEPARENT}}}

    @zespan_openwhisk
    def main(event: object) -> Any:
        return work()

    def serve() -> Any:
        os.environ["__OW_DEADLINE"] = "99999999999999"  # as the runtime does it for each activation
        return main(event)

    return serve


def _vercel_queue(work: Work) -> Serve:
    from zespan_serverless import zespan_vercel_queue

    subscriber: Any = zespan_vercel_queue(lambda payload: work())
    return lambda: subscriber(JOB["input"])


def _vercel_step(work: Work) -> Serve:
    from zespan_serverless import zespan_vercel_step

    @zespan_vercel_step
    async def step(payload: object) -> Any:
        return await _done(work)

    return lambda: _await(step(JOB["input"]))


# ---------------------------------------------------------------------- Cloudflare Workers


def _cloudflare(work: Work, *, method: str = "fetch") -> Serve:
    from zespan_serverless import zespan_cloudflare

    class Default:
        async def fetch(self, request: object) -> Any:
            return types.SimpleNamespace(status=200, headers={}, result=await _done(work))

        async def scheduled(self, controller: object, env: object, ctx: object) -> Any:
            return types.SimpleNamespace(result=await _done(work))

    worker: Any = zespan_cloudflare(Default)()
    request = types.SimpleNamespace(url="https://h/a", method="GET", headers={"traceparent": TRACEPARENT})
    controller = types.SimpleNamespace(cron="* * * * *", scheduledTime=0)
    given = (request,) if method == "fetch" else (controller, None, None)
    return lambda: _await(getattr(worker, method)(*given)).result


# ---------------------------------------------------------------------- RunPod, Cog, Modal


def _runpod(work: Work) -> Serve:
    from zespan_serverless import zespan_runpod

    handler: Any = zespan_runpod(lambda job: work())
    return lambda: handler(JOB)


def _runpod_async(work: Work) -> Serve:
    from zespan_serverless import zespan_runpod

    @zespan_runpod
    async def handler(job: object) -> Any:
        return await _done(work)

    return lambda: _await(handler(JOB))


def _runpod_generator(work: Work) -> Serve:
    from zespan_serverless import zespan_runpod

    @zespan_runpod
    def handler(job: object) -> Iterator[Any]:
        yield b"x"
        yield work()

    return lambda: list(handler(JOB))[1]


def _cog(work: Work) -> Serve:
    from zespan_serverless import zespan_cog

    @zespan_cog
    def predict(prompt: str) -> Any:
        return work()

    return lambda: predict(prompt="Hi")


def _modal(work: Work) -> Serve:
    from zespan_serverless import zespan_modal

    function: Any = zespan_modal(lambda given: work())
    return lambda: function(JOB["input"])


def _modal_async_generator(work: Work) -> Serve:
    from zespan_serverless import zespan_modal

    @zespan_modal
    async def function(given: object) -> AsyncIterator[Any]:
        yield b"x"
        yield await _done(work)

    async def read() -> Any:
        return [piece async for piece in function({})][1]

    return lambda: _await(read())


# ---------------------------------------------------------------------- scripts


def _script(work: Work) -> Serve:
    from zespan_serverless import run

    def serve() -> Any:
        with run("script"):
            return work()

    return serve


def _script_function(work: Work) -> Serve:
    from zespan_serverless import run

    return run(lambda: work())


def _script_async(work: Work) -> Serve:
    from zespan_serverless import run

    @run("script")
    async def main() -> Any:
        return await _done(work)

    return lambda: _await(main())


def _script_generator(work: Work) -> Serve:
    from zespan_serverless import run

    @run
    def main() -> Iterator[Any]:
        yield b"x"
        yield work()

    return lambda: list(main())[1]


def _task(work: Work) -> Serve:
    from zespan_serverless import task_scope

    def serve() -> Any:
        with task_scope("task", traceparent=TRACEPARENT):
            return work()

    return serve


def _task_async(work: Work) -> Serve:
    from zespan_serverless import task_scope

    async def main() -> Any:
        async with task_scope("task", deadline=1000):
            return await _done(work)

    return lambda: _await(main())


def _by_hand(work: Work) -> Serve:
    from zespan_serverless import capture, flush, init

    def serve() -> Any:
        try:
            return work()
        finally:
            capture({"operation": "x"})
            flush()

    init()
    return serve


ROOMS: dict[str, Room] = {
    "lambda": Room(_lambda),
    "lambda async": Room(_lambda_async, awaits=True, keeps_loop=True),
    "asgi": Room(_asgi, awaits=True),
    "wsgi": Room(_wsgi),
    "google": Room(_google),
    "google async": Room(_google_async, awaits=True),
    "google event": Room(_google_event),
    "google job": Room(_google_job),
    "azure": Room(_azure),
    "azure async": Room(_azure_async, awaits=True),
    "agentcore": Room(_agentcore),
    "agentcore async": Room(_agentcore_async, awaits=True),
    "oracle": Room(_oracle),
    "oracle async": Room(_oracle_async, awaits=True),
    "alibaba": Room(_alibaba),
    "openwhisk": Room(_openwhisk),
    "runpod": Room(_runpod),
    "runpod async": Room(_runpod_async, awaits=True),
    "cog": Room(_cog),
    "modal": Room(_modal),
    "vercel queue": Room(_vercel_queue),
    "vercel class": Room(_vercel),
    "vercel asgi": Room(functools.partial(_asgi, wrap="vercel"), awaits=True),
    "vercel wsgi": Room(functools.partial(_wsgi, wrap="vercel")),
    "run": Room(_script),
    "run function": Room(_script_function),
    "run async": Room(_script_async, awaits=True),
    "task": Room(_task),
    "by hand": Room(_by_hand, roots=0),
}
"""A new decorator or middleware adds its line here."""

VARIANTS: dict[str, Room] = {
    "lambda awaited": Room(_lambda_awaited, awaits=True),
    "lambda records": Room(_lambda_records),
    "lambda steps": Room(_lambda_steps),
    "asgi streamed": Room(functools.partial(_asgi, streams=True), awaits=True),
    "wsgi streamed": Room(functools.partial(_wsgi, streams=True)),
    "google streamed": Room(_google_streamed),
    "lambda generator": Room(_lambda_generator),
    "agentcore generator": Room(_agentcore_generator, awaits=True),
    "agentcore streamed": Room(_agentcore_streamed),
    "oracle passing": Room(_oracle_passing, awaits=True),
    "runpod generator": Room(_runpod_generator),
    "modal async generator": Room(_modal_async_generator, awaits=True),
    "google generator": Room(_google_generator, awaits=True),
    "vercel step": Room(_vercel_step, awaits=True),
    # In WebAssembly there are no signals, threads or processes: for that, see tests/cloudflare.
    "cloudflare fetch": Room(_cloudflare, awaits=True),
    "cloudflare scheduled": Room(functools.partial(_cloudflare, method="scheduled"), awaits=True),
    "task async": Room(_task_async, awaits=True),
    "run generator": Room(_script_generator),
}
"""Other uses of the same decorators and middlewares."""
