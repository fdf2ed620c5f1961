"""Lambda's own init process for this machine: aws-lambda-rie, extracted from the SAM CLI's wheel.

python -m zespan_serverless_dev.emulator.binary   fetches it once and prints its path

sam-cli.txt names the wheel with its hash, so only the file that was reviewed is ever run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PIN = Path(__file__).parent / "sam-cli.txt"
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def cache_of(root: Path) -> Path:
    """Return where the binary is kept: in a checkout at `root` in its .cache, else in this user's folder for caches."""
    if (root / "dev" / "pyproject.toml").is_file():
        return root / ".cache"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "zespan-serverless"


CACHE = cache_of(Path(__file__).parents[3])


class EmulatorUnavailable(RuntimeError):
    """The emulator cannot be run or fetched here. The message gives the reason and the remedy."""


def emulator_binary() -> Path:
    """Return the executable: ZESPAN_RIE if set, else the copy in the cache, fetched by pip if there is none yet.

    Raises EmulatorUnavailable.
    """
    if override := os.environ.get("ZESPAN_RIE"):
        return Path(override)
    machine = MACHINES.get(platform.machine().lower())
    if sys.platform != "linux" or machine is None:
        place = "Run it in WSL 2, which is Linux, or" if sys.platform == "win32" else "Run it"
        raise EmulatorUnavailable(
            f"AWS builds its Lambda emulator for Linux (x86_64 and arm64); this is {sys.platform} {platform.machine()}."
            f"\n{place} in a container, from the root of the repository:\n\n"
            '    docker run --rm -it -v "$PWD":/src -w /src python:3.13 make demo VENV=/tmp/venv\n'
        )
    binary = CACHE / f"aws-lambda-rie-{hashlib.sha256(PIN.read_bytes()).hexdigest()[:12]}-{machine}"
    if not binary.exists():
        _fetch(machine, binary)
    return binary


def _fetch(machine: str, binary: Path) -> None:
    print("Fetching AWS's Lambda emulator, once", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # The wheel is used as an archive only, so the Python that it requires does not matter.
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, "--requirement", str(PIN)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise EmulatorUnavailable(f"AWS's Lambda emulator cannot be fetched as {PIN.name} names it:\n{done.stderr}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            fetched = Path(archive.extract(f"samcli/local/rapid/aws-lambda-rie-{machine}", folder))
        fetched.chmod(0o755)
        fetched.replace(binary)  # atomic: another process may be looking for it


def main() -> None:
    try:
        print(emulator_binary())
    except EmulatorUnavailable as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
