import time
from collections.abc import Iterator

from flask import Flask, Response

from zespan_serverless import span, zespan_vercel

app = Flask(__name__)


@app.get("/greetings/<name>")
def greet(name: str) -> dict[str, str]:
    with span("work"):
        return {"hello": name}


@app.get("/slow")
def slow() -> str:
    with span("work"):
        time.sleep(1)
    return "slow"


@app.get("/boom")
def boom() -> str:
    raise ValueError("boom")


@app.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[str]:
        for number in range(3):
            with span("piece"):
                time.sleep(0.05)
            yield f"{number}\n"

    return Response(pieces())


app = zespan_vercel(app)
