"""What is said and done where Docker is not to be had; tests/sam is about where it is."""

from __future__ import annotations

import pytest

from emulator import docker


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Docker and debootstrap, and a user who may install neither."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(docker, "SYSTEM_PATH", "")
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.usefixtures("bare")
def test_no_docker_is_said_with_the_way_out() -> None:
    """Without Docker, tests are skipped for a reason that a person can do something about."""
    with pytest.raises(docker.DockerUnavailable, match="as root on Debian, `make test` installs"), docker.daemon():
        pass


@pytest.mark.usefixtures("bare")
def test_preparing_never_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` goes on where the base image cannot be built, and says why tests will be skipped."""
    monkeypatch.setattr(docker, "version", lambda _: "0.0.0")  # of a client for which there is no image yet
    docker.main()
    assert capsys.readouterr().out.startswith("The tests that run functions in Docker will be skipped: ")


def test_an_image_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's own image is taken where it can be had."""
    monkeypatch.setenv("ZESPAN_LAMBDA_IMAGE", "public.ecr.aws/lambda/python:3.13")
    assert docker.base_image() == "public.ecr.aws/lambda/python:3.13"
