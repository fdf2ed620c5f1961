import azure.functions as func
from fastapi import FastAPI

from zespan_serverless import traceparent
from zespan_serverless.asgi import ZespanMiddleware

web = FastAPI()
web.add_middleware(ZespanMiddleware)


@web.get("/api/items/{number}")
async def item(number: int) -> dict[str, object]:
    return {"number": number, "trace": traceparent()}


app = func.AsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS)
