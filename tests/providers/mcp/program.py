"""Calls tools of real MCP servers in a Lambda function, and prints the events and what the servers were told.

Runs with mcp 1 and 2: `python -m tests.providers.mcp.program memory|stdio|http [private|otel]`. The same calls are made
first without the package: `bare` is what the tools have answered then.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from mcp import ClientSession, StdioServerParameters, stdio_client

from zespan_serverless import flush, span, testing, with_context, zespan_lambda

_server: Any = import_module("mcp.server")
IS_NEW = hasattr(_server, "MCPServer")
_home: Any = import_module("mcp.server.mcpserver" if IS_NEW else "mcp.server.fastmcp")
Server = _home.MCPServer if IS_NEW else _home.FastMCP
HAS_META = "meta" in inspect.signature(ClientSession.call_tool).parameters


def server() -> Any:
    """Its tools are asked for the weather, fail, take long, and tell the `_meta` of their requests."""
    made: Any = Server("weather")

    def weather(city: str) -> str:
        return json.dumps({"weather": f"Sunny in {city}", "password": "hunter2"})

    def broken() -> str:
        raise ValueError("no such city: secret")

    async def sleeping() -> str:
        await asyncio.sleep(60)
        return ""

    def told(ctx: Any) -> str:
        meta = ctx.request_context.meta
        meta = dict(meta) if isinstance(meta, dict) else meta.model_dump() if meta is not None else {}
        return json.dumps({name: meta[name] for name in ("traceparent", "tracestate", "mine") if meta.get(name)})

    told.__annotations__["ctx"] = _home.Context
    for tool in (weather, broken, told, sleeping):
        made.tool()(tool)
    return made


@asynccontextmanager
async def session_by(transport: str) -> AsyncIterator[Any]:
    """A session with a server."""
    async with AsyncExitStack() as stack:
        if transport == "memory" and IS_NEW:
            from mcp import Client

            yield await stack.enter_async_context(Client(server()))
            return
        if transport == "memory":
            memory: Any = import_module("mcp.shared.memory")
            connected = memory.create_connected_server_and_client_session(server()._mcp_server)
            yield await stack.enter_async_context(connected)
            return
        if transport == "stdio":
            command = StdioServerParameters(command=sys.executable, args=["-m", __spec__.name, "serve"])
            read, write = await stack.enter_async_context(stdio_client(command))
        else:
            http: Any = import_module("mcp.client.streamable_http")
            connect = getattr(http, "streamable_http_client", None) or http.streamablehttp_client
            read, write, *_ = await stack.enter_async_context(connect(stack.enter_context(Served())))
        session = await stack.enter_async_context(ClientSession(read, write))
        await session.initialize()
        yield session


class Served:
    """Serves by HTTP, in a thread."""

    def __enter__(self) -> str:
        import uvicorn

        self._server = uvicorn.Server(uvicorn.Config(server().streamable_http_app(), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/mcp"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


async def calls(transport: str, seen: list[Any]) -> None:
    """What a user does; `seen` gets what the tools answer."""
    async with session_by(transport) as session:
        for name, arguments, more in (
            ("weather", {"city": "Bern", "api_key": "k"}, {}),
            ("told", {}, {}),
            ("told", {}, {"meta": {"mine": "1"}}),
            ("told", {}, {"meta": {"traceparent": "theirs"}}),
            ("broken", {}, {}),
            ("weather", {"town": "Bern"}, {}),
            ("unknown", {}, {}),
            ("sleeping", {}, {}),
        ):
            try:
                async with asyncio.timeout(0.3 if name == "sleeping" else 30):
                    result = await session.call_tool(name, arguments, **(more if HAS_META else {}))
                seen.append([block.text for block in result.content])
            except Exception as error:
                seen.append(type(error).__name__)


def main(transport: str, how: str = "") -> None:
    if transport == "serve":
        server().run()
        return
    if how == "otel":
        from opentelemetry import trace

        sdk: Any = import_module("opentelemetry.sdk.trace")  # only there in an environment of its own
        trace.set_tracer_provider(sdk.TracerProvider())
    bare: list[Any] = []
    asyncio.run(calls(transport, bare))
    seen: list[Any] = []
    settings: Any = {"store_prompts": False} if how == "private" else {}

    @zespan_lambda(**settings)
    def handler(event: object, context: object) -> None:
        with with_context(user_id="ada"), span("agent", kind="agent"):
            asyncio.run(calls(transport, seen))

    with testing.recording() as events:
        state = {"tracestate": "a=1", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        handler({"headers": state, "requestContext": {"http": {"method": "GET"}}}, testing.LambdaContext())
        flush(5)
    print(json.dumps({"bare": bare, "seen": seen, "events": list(events)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
