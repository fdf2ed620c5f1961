"""Flask."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import PIECES, TRACED, reached, wait
from flask import Blueprint, Flask, Response, request, send_file

from zespan_serverless import capture, span, traceparent
from zespan_serverless.wsgi import ZespanMiddleware

app = Flask(__name__)
if TRACED:
    app.wsgi_app = ZespanMiddleware(app.wsgi_app)  # type: ignore[method-assign]
items = Blueprint("items", __name__, url_prefix="/items")


@app.get("/hello/<name>")
@app.get("/sync/<name>")
def hello(name: str) -> dict[str, str]:
    with span("step"):
        return {"hello": name}


@app.get("/stream")
def stream() -> Response:
    gate = request.args.get("gate", "")

    def pieces() -> Iterator[str]:
        for number in range(PIECES):
            wait(gate, str(number))
            with span("piece"):
                yield f"{number}\n"

    return Response(pieces())


@app.get("/flood")
def flood() -> Response:
    gate = request.args.get("gate", "")

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                reached(gate, "flooding")
        finally:
            reached(gate, "left")

    return Response(pieces())


@app.get("/sized")
def sized() -> Response:
    """Return a stream whose length is announced: the client has all of it before the server knows that it is over."""

    def pieces() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"
        with span("tail"):
            pass

    return Response(pieces(), headers={"content-length": "4"})


@app.get("/fail")
def fail() -> str:
    raise ValueError("no")


@app.get("/status/<int:code>")
def status(code: int) -> tuple[str, int]:
    return "", code


@app.get("/slow")
def slow() -> dict[str, bool]:
    gate = request.args.get("gate", "")
    with span("step"):
        reached(gate, "started")
        wait(gate, "go")
    return {"slow": True}


@app.get("/background")
def background() -> Response:
    response = Response(traceparent() or "")

    @response.call_on_close
    def after() -> None:
        with span("after"):
            pass

    return response


@app.get("/file")
def file() -> Response:
    return send_file(Path(__file__).resolve(), mimetype="text/plain")


@app.get("/who/<name>")
def who(name: str) -> dict[str, Any]:
    with span(name):
        time.sleep(0.02)
        capture({"span_kind": "llm", "operation": f"call of {name}"})
    return {"name": name, "traceparent": traceparent()}


@items.get("/<int:number>")
def item(number: int) -> str:
    return str(number)


app.register_blueprint(items)
