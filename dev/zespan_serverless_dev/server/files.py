"""The page's own files, and the way from the URL with the token to the cookie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .answer import Answer, Refused
from .guard import FILE

if TYPE_CHECKING:
    from . import DevServer
    from .connection import Connection

FOLDER = Path(__file__).parents[1] / "page"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
# For who comes by a link on another page: after a redirect the browser would not send the new cookie.
_ON = (
    b'<!doctype html><link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url=/">'
    b"<title>zespan dev</title>"
)
_NO_TOKEN = b"Open the address with the token that `zespan-serverless dev` has printed in its terminal.\n"


def file_answer(dev: DevServer, request: Connection) -> Answer:
    """Return a file of the page. The page itself needs the token; its scripts and styles are not secret."""
    path = request.url.path
    if path == "/":
        token = request.query().get("token")
        if token is not None and dev.guard.is_token(token):
            cookie = {"set-cookie": dev.guard.set_cookie()}
            if request.names.get("sec-fetch-site", "none") in ("none", "same-origin"):
                return Answer(303, b"", "text/plain", {"location": "/", **cookie})  # which keeps the view behind a #
            return Answer(200, _ON, "text/html; charset=utf-8", cookie)
        if not dev.guard.is_owner(request.names):
            return Answer(401, _NO_TOKEN, "text/plain; charset=utf-8")
        path = "/index.html"
    name = path[1:]
    file = FOLDER / name
    kind = _TYPES.get(file.suffix)
    if kind is None or not FILE.fullmatch(name) or not file.is_file():
        raise Refused(404, "there is no such page")
    return Answer(200, file.read_bytes(), kind)
