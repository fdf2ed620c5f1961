"""Docker, and Lambda's base image for a machine that reaches no image registry, to run what `sam build` has built.

python -m tools.docker   prepares both as root on Debian, or says why the tests that need them will be skipped

Packages of the system are installed and a daemon is started only where that has been allowed: with
ZESPAN_TEST_SYSTEM=1, or in CI (CI=true). ZESPAN_TEST_SYSTEM=0 forbids it in CI, too.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from zespan_serverless_dev.emulator.binary import CACHE, MACHINES, PIN, emulator_binary

PYTHON = f"3.{sys.version_info.minor}"  # the functions' Python is the one that runs this
SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # Debian's releases, by their Python
ARCHITECTURE = MACHINES.get(platform.machine().lower(), "")
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
NO_DOCKER = (
    "Docker is not running: start it, or set ZESPAN_TEST_SYSTEM=1 for `make test` to install and start it as root"
)
NO_IMAGE = (
    "Lambda's base image is built as root with debootstrap, which ZESPAN_TEST_SYSTEM=1 installs on Debian; "
    "or name one: ZESPAN_LAMBDA_IMAGE"
)

# Where Lambda's own image has them, and doing the same: the runtime, and what starts the emulator in front of it.
BOOTSTRAP = f"""\
#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python{PYTHON} PYTHONPATH=/opt/python:/var/runtime
exec $AWS_LAMBDA_EXEC_WRAPPER sh -c 'exec python{PYTHON} -m awslambdaric "$_HANDLER"'
"""
ENTRYPOINT = """\
#!/bin/sh
export _HANDLER="$1"
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
"""
CHANGES = (
    "ENV LANG=en_US.UTF-8 TZ=:/etc/localtime PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
    "WORKDIR /var/task",
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
)


class DockerUnavailable(RuntimeError):
    """No function can be run in Docker here; says why."""


def may_change_system() -> bool:
    """Whether packages may be installed into this system, and a daemon started, which changes its network."""
    allowed = os.environ.get("ZESPAN_TEST_SYSTEM") or os.environ.get("CI", "")
    return allowed.lower() not in ("", "0", "false", "no", "off") and os.geteuid() == 0


@contextmanager
def daemon() -> Iterator[None]:
    """Docker runs inside the block; afterwards a daemon that had to be started is stopped again."""
    if _answers():
        yield
        return
    executable = shutil.which("dockerd", path=SYSTEM_PATH)
    if executable is None or not may_change_system():
        raise DockerUnavailable(NO_DOCKER)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([executable], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 30
            while not _answers():
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise DockerUnavailable("dockerd does not start: " + log.read().decode(errors="replace")[-500:])
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)


def gateway() -> str:
    """Return the address at which containers find this machine."""
    network = json.loads(_docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
    return network.get("Gateway") or str(ipaddress.ip_network(network["Subnet"])[1])


def base_image() -> str:
    """Name of the image for `sam local invoke --invoke-image` and FROM: ZESPAN_LAMBDA_IMAGE, else the stand-in."""
    if override := os.environ.get("ZESPAN_LAMBDA_IMAGE"):
        return override
    archive = root_filesystem()
    name = f"zespan-{archive.stem}"  # no tag: the SAM CLI builds upon an image and forgets with which tag
    if not _docker("images", "--quiet", name).strip():
        _docker("import", *(part for change in CHANGES for part in ("--change", change)), str(archive), name)
    return name


def root_filesystem() -> Path:
    """Debian's Python with Lambda's runtime client, boto3 and the emulator, as a tar; made once."""
    if PYTHON not in SUITES or not ARCHITECTURE:
        raise DockerUnavailable(f"no release of Debian has Python {PYTHON} for {platform.machine()}")
    recipe = Path(__file__).read_bytes() + PIN.read_bytes() + version("awslambdaric").encode()
    archive = CACHE / f"lambda-python{PYTHON}-{ARCHITECTURE}-{hashlib.sha256(recipe).hexdigest()[:12]}.tar"
    if not archive.exists():
        if os.geteuid() != 0 or not shutil.which("debootstrap", path=SYSTEM_PATH):
            raise DockerUnavailable(NO_IMAGE)
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            root, tar = Path(folder) / "root", Path(folder) / "tar"
            _populate(root)
            _run("tar", "--directory", str(root), "--create", "--file", str(tar), ".")
            for outdated in CACHE.glob(f"lambda-python{PYTHON}-*.tar"):
                outdated.unlink()
            tar.replace(archive)
    return archive


def _populate(root: Path) -> None:
    packages = f"--include=python{PYTHON},python3-pip,ca-certificates"
    _run("debootstrap", "--variant=minbase", packages, SUITES[PYTHON], str(root))
    shutil.rmtree(root / "var/cache/apt")
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))  # the image trusts whom this machine trusts
    runtime = root / "var/runtime"
    client = f"awslambdaric=={version('awslambdaric')}"
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(runtime), client, "boto3")
    (root / "var/task").mkdir()
    shutil.copy(emulator_binary(), root / "usr/local/bin/aws-lambda-rie")
    for script, text in ((runtime / "bootstrap", BOOTSTRAP), (root / "lambda-entrypoint.sh", ENTRYPOINT)):
        script.write_text(text)
        script.chmod(0o755)


def _answers() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


def _docker(*arguments: str) -> str:
    return _run("docker", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-500:]
        raise DockerUnavailable(f"`{' '.join(command)[:200]}` failed: {said}")
    return done.stdout


def _install() -> None:
    commands = {"debootstrap": "debootstrap"}
    if not _answers():
        commands |= {"docker": "docker.io", "dockerd": "docker.io", "iptables": "iptables"}
    missing = sorted({package for command, package in commands.items() if not shutil.which(command, path=SYSTEM_PATH)})
    if missing and may_change_system() and shutil.which("apt-get"):
        print(f"installing {', '.join(missing)} ...", flush=True)
        _run("apt-get", "update", "--quiet")
        _run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing)


def main() -> None:
    start = time.monotonic()
    try:
        if "ZESPAN_LAMBDA_IMAGE" not in os.environ:
            if PYTHON in SUITES:
                _install()
            if not _answers() and not may_change_system():
                raise DockerUnavailable(NO_DOCKER)  # without it nobody needs the image
            root_filesystem()
    except DockerUnavailable as problem:
        print(f"The tests that run functions in Docker will be skipped: {problem}")
    else:
        print(f"Lambda's base image is there ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
