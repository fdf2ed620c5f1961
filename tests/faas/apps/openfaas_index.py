"""Flask on waitress, as in the template python3-http of OpenFaaS: `openfaas_index.py handler.py`.

https://github.com/openfaas/python-flask-template. of-watchdog starts it, passes requests on, and SIGTERM.
"""

from __future__ import annotations

import os
import runpy
import sys
from types import SimpleNamespace
from typing import Any

from flask import Flask, jsonify, request
from waitress import serve

app = Flask(__name__)
handle = runpy.run_path(sys.argv[1])["handle"]
if os.environ.get("HOW") == "middleware":
    from zespan_serverless.wsgi import ZespanMiddleware

    app.wsgi_app = ZespanMiddleware(app.wsgi_app)  # type: ignore[method-assign]


@app.route("/<path:path>", methods=["POST"])
def call_handler(path: str) -> Any:
    event = SimpleNamespace(
        body=request.get_data(), headers=request.headers, method=request.method, query=request.args, path=request.path
    )
    response = handle(event, SimpleNamespace(hostname="localhost"))
    return jsonify(response["body"]), response["statusCode"]


if __name__ == "__main__":
    serve(app, host="127.0.0.1", port=int(os.environ["PORT"]), threads=8, _quiet=True)
