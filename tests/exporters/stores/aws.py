"""AWS as moto plays it, over HTTP, and a server that never answers."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

REGION = "eu-west-1"


@contextlib.contextmanager
def aws_server() -> Iterator[str]:
    """The URL of a server that has all services."""
    from moto.server import ThreadedMotoServer  # not at import: every process of the suite imports this module

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    with urlopen(Request(f"{url}/moto-api/reset", method="POST"), timeout=20):  # all servers of a process share a state
        yield url
    server.stop()


@contextlib.contextmanager
def hanging_server() -> Iterator[str]:
    """The URL of a server that accepts connections, and never answers."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as mute:
        yield f"http://127.0.0.1:{mute.getsockname()[1]}"


def environment(url: str) -> dict[str, str]:
    """Variables with which every SDK of AWS talks to `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process talk to the server at `url`."""
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)


def client(service: str, url: str) -> Any:
    """Return a user's own client of a service."""
    from boto3.session import Session

    return Session("x", "y", region_name=REGION).client(service, endpoint_url=url)
