"""What becomes of SIGTERM."""

import os
import signal
import time
from pathlib import Path

import azure.functions as func

from zespan_serverless import capture, zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def leave(number: int, frame: object) -> None:
    Path(os.environ["MARK"]).write_text("the user's handler")
    os._exit(7)


if os.environ.get("MARK"):
    signal.signal(signal.SIGTERM, leave)


@app.route(route="quick")
@zespan_azure
def quick(req: func.HttpRequest) -> str:
    return "done"


@app.route(route="slow")
@zespan_azure
def slow(req: func.HttpRequest) -> str:
    capture({"operation": "step"})
    Path(req.params["begun"]).touch()
    time.sleep(30)
    return "done"


@app.route(route="leaves")
@zespan_azure
async def leaves(req: func.HttpRequest) -> str:
    raise SystemExit(3)
