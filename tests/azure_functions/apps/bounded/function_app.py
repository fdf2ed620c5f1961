"""An app whose functions may take two seconds."""

import asyncio
import time

import azure.functions as func

from zespan_serverless import flush, zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="work")
@zespan_azure
def work(req: func.HttpRequest) -> str:
    time.sleep(0.2)
    return "done"


@app.route(route="awork")
@zespan_azure
async def awork(req: func.HttpRequest) -> str:
    await asyncio.sleep(0.2)
    return "done"


@app.route(route="byhand")
@zespan_azure
def byhand(req: func.HttpRequest) -> str:
    return flush().reason


@app.route(route="aplain")
async def aplain(req: func.HttpRequest) -> str:
    return "still here"
