"""HTTP streams: the worker serves HTTP itself, and reads a response's body when the function has returned."""

import asyncio
from collections.abc import AsyncIterator

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse

from zespan_serverless import capture, span, traceparent, zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


async def pieces(number: int) -> AsyncIterator[str]:
    with span("pieces"):
        for index in range(number):
            yield f"{index} {traceparent()}\n"
            await asyncio.sleep(0.05)
            capture({"operation": f"piece {index}"})


@app.route(route="stream")
@zespan_azure
async def stream(req: Request) -> StreamingResponse:
    return StreamingResponse(pieces(3), media_type="text/plain", status_code=202)


@app.route(route="plain")
async def plain(req: Request) -> StreamingResponse:
    return StreamingResponse(pieces(3), media_type="text/plain", status_code=202)


@app.route(route="syncstream")
@zespan_azure
def syncstream(req: Request) -> StreamingResponse:
    return StreamingResponse(iter(["a\n", "b\n"]), media_type="text/plain")


@app.route(route="breaks")
@zespan_azure
async def breaks(req: Request) -> StreamingResponse:
    async def broken() -> AsyncIterator[str]:
        yield "a\n"
        raise RuntimeError("the model is gone")

    return StreamingResponse(broken(), media_type="text/plain")


@app.route(route="long")
@zespan_azure
async def long(req: Request) -> StreamingResponse:
    return StreamingResponse(pieces(1000), media_type="text/plain")


@app.route(route="ask")
@zespan_azure
async def ask(req: Request) -> StreamingResponse:
    from openai import AsyncOpenAI

    client = AsyncOpenAI()

    async def answer() -> AsyncIterator[str]:
        async with client:
            chunks = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            async for chunk in chunks:
                yield chunk.choices[0].delta.content or "" if chunk.choices else ""

    return StreamingResponse(answer(), media_type="text/plain")


@app.route(route="json")
@zespan_azure
async def json(req: Request) -> JSONResponse:
    return JSONResponse({"trace": traceparent(), "q": req.query_params.get("q")})
