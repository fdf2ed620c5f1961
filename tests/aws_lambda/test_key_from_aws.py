"""A function whose key is in Parameter Store."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator

import pytest
from boto3.session import Session
from moto.server import ThreadedMotoServer

from tests.aws_lambda.support import StartFunction
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

NAME = "/zespan/api-key"


def environment(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SSM": url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "ZESPAN_API_KEY": "",
        "ZESPAN_API_KEY_SECRET": f"ssm:{NAME}",
        "ZESPAN_FLUSH_TIMEOUT": "8",
    }


@pytest.fixture
def service() -> Iterator[str]:
    """Parameter Store with the key in it, as moto plays it: its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = Session("x", "y", region_name="eu-west-1").client("ssm", endpoint_url=url)
    client.put_parameter(Name=NAME, Value="zsp_1", Type="SecureString", Overwrite=True)
    yield url
    server.stop()


def test_events_are_sent_with_the_key(start: StartFunction, backend: Backend, service: str) -> None:
    """The function only names the parameter; without the service later invocations go on with the key."""
    backend.api_key = "zsp_1"
    environ = environment(service)
    sandbox = start("shapes.with_object", env=environ, timeout=20)
    assert sandbox.invoke("Ada").payload == "hello Ada"
    backend.wait_for(2, timeout=10)
    Session("x", "y", region_name="eu-west-1").client("ssm", endpoint_url=service).delete_parameter(Name=NAME)
    sandbox.invoke("Ada")
    assert len(backend.wait_for(4)) == 4


def test_a_service_that_never_answers(start: StartFunction, backend: Backend) -> None:
    """The function answers as ever; nothing is sent without the key."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as mute:
        environ = environment(f"http://127.0.0.1:{mute.getsockname()[1]}") | {"ZESPAN_FLUSH_TIMEOUT": "0.1"}
        sandbox = start("shapes.with_object", env=environ, timeout=20)
        for _ in range(3):
            assert sandbox.invoke("Ada").payload == "hello Ada"
    assert backend.requests == []
