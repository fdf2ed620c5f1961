import azure.functions as func
from flask import Flask

from zespan_serverless import traceparent
from zespan_serverless.wsgi import ZespanMiddleware

web = Flask(__name__)
web.wsgi_app = ZespanMiddleware(web.wsgi_app)  # type: ignore[method-assign]


@web.get("/api/items/<int:number>")
def item(number: int) -> dict[str, object]:
    return {"number": number, "trace": traceparent()}


app = func.WsgiFunctionApp(app=web.wsgi_app, http_auth_level=func.AuthLevel.ANONYMOUS)
