"""Newer Pythons than Debian's stable release has, from its next suite, to test the wheels under.

    python -m tools.pythons   installs them into .cache/pythons as root on Debian, or says why it does not

The suite gets a folder of its own (330 MB, a minute). Its interpreters are changed to use its libraries, so that they
run outside of it as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.docker import SYSTEM_PATH, may_change_system

SUITE = "forky"
VERSIONS = ("3.14", "3.15")
FOLDER = (Path(__file__).parents[1] / ".cache" / "pythons" / SUITE).resolve()  # the interpreters contain this path
_SCRIPT = "/usr/share/debootstrap/scripts/sid"  # that of Debian's stable release does not know the next suite
_MACHINE = "usr/lib/x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2"


class Unavailable(RuntimeError):
    """The Pythons cannot be installed here; says why."""


def install() -> None:
    """Install the suite's Pythons, unless they are there. Raises Unavailable."""
    if FOLDER.exists():
        try:
            _check()
        except (OSError, Unavailable):  # the checkout has been moved since
            shutil.rmtree(FOLDER)
        else:
            return
    if not may_change_system() or not shutil.which("apt-get") or os.uname().machine != "x86_64":
        raise Unavailable("that takes root on Debian (x86_64) with ZESPAN_TEST_SYSTEM=1")
    _run("apt-get", "update", "--quiet")
    _run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "debootstrap", "patchelf")
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as name:
        root = Path(name) / SUITE
        packages = ",".join(f"python{version}" for version in VERSIONS)
        options = ["--variant=minbase", f"--include={packages}"]
        _run("debootstrap", *options, SUITE, str(root), "", _SCRIPT)  # Debian's own mirror
        libraries, loader = (FOLDER / part for part in _MACHINE)
        for version in VERSIONS:
            options = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(libraries)]
            _run("patchelf", *options, str(root / f"usr/bin/python{version}"))
        shutil.rmtree(root / "var/cache/apt")
        root.replace(FOLDER)
    _check()


def _check() -> None:
    for version in VERSIONS:
        _run(str(FOLDER / f"usr/bin/python{version}"), "-c", "import ssl, sqlite3")


def _run(*command: str) -> None:
    environment = {**os.environ, "PATH": SYSTEM_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-500:]
        raise Unavailable(f"`{' '.join(command)[:200]}` failed: {said}")


def main() -> None:
    try:
        install()
    except Unavailable as problem:
        print(f"The wheels will not be tested under Python {' and '.join(VERSIONS)}: {problem}")


if __name__ == "__main__":
    main()
