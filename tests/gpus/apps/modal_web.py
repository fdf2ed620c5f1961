"""Asks a function below `@modal.fastapi_endpoint()`, in the application that Modal makes of it: prints the answers."""

from __future__ import annotations

import sys

import modal
from fastapi.testclient import TestClient
from modal._runtime.asgi import magic_fastapi_app

from zespan_serverless import capture, flush, zespan_modal

app = modal.App("demo")


@zespan_modal
def chat(prompt: str) -> dict[str, str]:
    capture({"operation": "inside"})
    if prompt == "raise":
        raise LookupError("mine")
    return {"answer": prompt}


app.function()(modal.fastapi_endpoint()(chat))  # as decorators do it

if __name__ == "__main__":
    with TestClient(magic_fastapi_app(chat, "GET", docs=False), raise_server_exceptions=False) as client:
        codes = [client.get("/", params={"prompt": "raise"}).status_code, client.get("/").status_code]
        sys.stdout.write(f"{codes} {client.get('/', params={'prompt': 'Hi'}).text}")
    flush()
