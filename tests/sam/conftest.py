"""Docker, what `sam build` makes of the template, and what the functions in it reach."""

from __future__ import annotations

import getpass
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from boto3.session import Session
from moto.server import ThreadedMotoServer
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.sam.support import API_KEY, ROOT, SAM, Surroundings, run
from tools import docker
from zespan_serverless.testing import Backend


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """One module at a time, or the process that is first done with its own would stop the daemon of all."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        pytest.skip("no locks on this platform")
    with Path(tempfile.gettempdir(), f"zespan-docker-{getpass.getuser()}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


@pytest.fixture(scope="module")
def image(alone: None) -> Iterator[str]:
    """Lambda's base image, in a Docker that runs."""
    try:
        with docker.daemon():
            yield docker.base_image()
    except docker.DockerUnavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this package's wheel."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ".")
    return folder


@pytest.fixture(scope="session")
def built(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes of the template; but for the Python and the processor that the tests run on."""
    if not SAM.exists():
        pytest.skip("no SAM CLI: `make test` installs it in .venv-sam, or set ZESPAN_SAM")
    folder = tmp_path_factory.mktemp("sam")
    text = (ROOT / "sam-template.yaml").read_text()
    text = text.replace("Runtime: python3.13\n", f"Runtime: python{docker.PYTHON}\n")
    text = text.replace("Architectures: [arm64]\n", f"Architectures: [{docker.ARCHITECTURE}]\n")
    (folder / "template.yaml").write_text(text)
    shutil.copytree(wheels, folder / "dist")  # requirements.txt names a path from where the SAM CLI is run
    run(SAM, "build", "--template", "template.yaml", "--base-dir", ROOT, cwd=folder)
    return folder / ".aws-sam/build"


@pytest.fixture
def surroundings(image: str) -> Iterator[Surroundings]:
    """A backend that wants the key, a model, and a Parameter Store with the key in it."""
    host = docker.gateway()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = ThreadedMotoServer(host, 0, verbose=False)
    store.start()
    try:
        url = "http://{}:{}".format(*store.get_host_and_port())
        client = Session("x", "y", region_name="us-east-1").client("ssm", endpoint_url=url)
        client.put_parameter(Name="/zespan/api-key", Value=API_KEY, Type="SecureString", Overwrite=True)
        with Backend(host=host) as backend, ModelEndpoint(latency_ms=0, host=host) as model:
            backend.api_key = API_KEY
            environment = {
                "AWS_ENDPOINT_URL_SSM": url,
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": model.url,
                "ZESPAN_BASE_URL": backend.url,
                "ZESPAN_FLUSH_TIMEOUT": "8",  # boto3's import takes its time on a busy machine
            }
            yield Surroundings(backend, model, environment)
    finally:
        store.stop()
