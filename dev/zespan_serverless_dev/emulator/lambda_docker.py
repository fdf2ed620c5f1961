"""A Lambda function instance in a container: AWS's image, with the emulator that is in it. For macOS, and by choice.

`docker pause` freezes it: the kernel's freezer, which no process can notice. Docker limits its CPU and its memory.
Everything else is as in `Sandbox`, under the same paths. What the container has of this machine are the function's
folder, zespan-serverless, and the sandbox's own files; other dependencies have to be in the function's folder, built
for Linux.

It has been tested with Docker on Linux, where the container shares the network of the machine. With Docker Desktop, on
macOS, the port is published instead, and the function finds this machine as host.docker.internal: that is not tested.
"""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import zespan_serverless

from .binary import EmulatorUnavailable
from .lambda_rie import Sandbox

IMAGE = f"public.ecr.aws/lambda/python:3.{sys.version_info.minor}"
"""AWS's image; ZESPAN_LAMBDA_IMAGE names another one."""

IS_NATIVE = sys.platform == "linux"
HOST = "127.0.0.1" if IS_NATIVE else "host.docker.internal"
"""Where the function finds this machine."""

PACKAGE = "/opt/zespan-serverless"  # where the container has zespan-serverless
MB_PER_CPU = 1769
START_MAX = 300.0  # seconds for the start of a container, whose image may have to be fetched

_OWN = ("PATH", "HOME", "PWD", "OLDPWD", "SHELL", "USER", "LOGNAME", "TERM", "LD_", "DYLD_", "XPC_", "SSH_", "XDG_")
"""How the names of variables begin that the container has itself, or must not get."""


class DockerSandbox(Sandbox):
    """`Sandbox` in a container; ``join`` and ``extension`` do not apply."""

    _python = "python3"
    _listens = "127.0.0.1" if IS_NATIVE else "0.0.0.0"

    def __init__(self, *args: Any, memory: int = 512, **options: Any) -> None:
        if shutil.which("docker") is None:
            raise EmulatorUnavailable("a container needs Docker, and there is no command `docker` here: install it")
        self._name = f"zespan-{secrets.token_hex(6)}"
        self._memory, self._is_paused = memory, False
        super().__init__(*args, memory=memory, **options)

    def _emulator(self, environment: dict[str, str], places: Sequence[Path]) -> tuple[list[str], dict[str, str]]:
        environment["PYTHONPATH"] += f":{PACKAGE}:/var/runtime"
        package = Path(zespan_serverless.__file__).parent
        passed = [name for name in environment if not name.startswith(_OWN)]
        limits = [f"--cpus={self._memory / MB_PER_CPU:.3f}", f"--memory={self._memory}m"]
        mounts = [f"--volume={place}:{place}" for place in dict.fromkeys(places)]
        command = ["docker", "run", "--rm", "--name", self._name, *limits, *mounts, *self._network()]
        command += [f"--volume={package}:{PACKAGE}/{package.name}:ro", f"--user={os.getuid()}:{os.getgid()}"]
        command += [f"--workdir={environment['LAMBDA_TASK_ROOT']}", *(f"--env={name}" for name in passed)]
        command += ["--entrypoint=/usr/local/bin/aws-lambda-rie", os.environ.get("ZESPAN_LAMBDA_IMAGE", IMAGE)]
        return command, {**os.environ, **{name: environment[name] for name in passed}}

    def _network(self) -> list[str]:
        """Return how this process reaches the emulator, and the function this machine."""
        if IS_NATIVE:
            return ["--network=host"]
        return [f"--publish=127.0.0.1:{self._port}:{self._port}"]

    def freeze(self) -> None:
        """Freeze the container, with the emulator in it."""
        self._is_paused = True
        self._docker("pause")

    def thaw(self) -> None:
        """Let it run again. Does nothing if it is not frozen."""
        if self._is_paused:
            self._is_paused = False
            self._docker("unpause")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the runtime and its children."""
        self.thaw()
        self._docker("exec", "/bin/sh", "-c", f"kill -{int(number)} $(cat /proc/1/task/*/children)")

    @property
    def runtime_pid(self) -> int | None:
        """None: its number is one of the container's."""
        return None

    def _await_listening(self) -> None:
        """Wait for an answer: a published port accepts connections before there is anybody behind it."""
        end = time.monotonic() + START_MAX
        while self._process.poll() is None and time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
            with closing(connection), suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            time.sleep(0.05)
        raise RuntimeError(f"the container did not start:\n{self.stop()}")

    def _killer(self) -> Callable[[], object]:
        return weakref.finalize(self, _remove, self._process, self._name)

    def _docker(self, command: str, *arguments: str) -> None:
        subprocess.run(["docker", command, self._name, *arguments], capture_output=True)


def _remove(process: subprocess.Popen[bytes], name: str) -> None:
    subprocess.run(["docker", "rm", "--force", name], capture_output=True)
    process.kill()
    process.wait()
