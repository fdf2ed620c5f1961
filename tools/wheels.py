"""Builds the distributions, and runs tests on what is in the wheels rather than on what is in the checkout.

    python -m tools.wheels build             both wheels and source archives, in dist/
    python -m tools.wheels test              the wheels in dist/, under each Python that is installed here
    python -m tools.wheels test --python X   under this one only, a path
    python -m tools.wheels test --here       under the one that runs this
    python -m tools.wheels test --newer      under those that `python -m tools.pythons` has installed

The tests run in a folder that has no source of the package, in an environment with the wheels and what TESTS needs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECTS = (ROOT, ROOT / "dev")
DIST = ROOT / "dist"
NEWER = ".cache/pythons/*/usr/bin/python3.[0-9][0-9]"  # where tools/pythons.py installs
MAY_FAIL = ("(3, 15)",)  # AWS Lambda has it as a preview

# What of the repository the tests below read, and the packages that they need.
FOLDERS = ("tests", "examples", "docs")
NEEDED = ("hypothesis", "openai>=1.50", "pytest>=9", "pytest-timeout>=2.4")
# Each part of the package once: settings, records, delivery, a server, a decorator, the plugin of pytest. The tests of
# threads are for Python without the GIL.
TESTS = (
    "tests/settings",
    "tests/test_front_door.py",
    "tests/base",
    "tests/delivery/test_background.py",
    "tests/process/test_many_threads.py",
    "tests/trace",
    "tests/jobs",
    "tests/wsgi",
    "tests/asgi",
    "tests/testing/test_recording.py",
    "tests/aws_lambda/test_handlers.py",
    "tests/dev/server/test_api.py",
)
_INSTALLED = (
    "import zespan_serverless as package, zespan_serverless_dev as tools;"
    "print(package.__file__, tools.__file__, sep='\\n')"
)


def build(target: Path = DIST, projects: tuple[Path, ...] = PROJECTS, kind: str = "all") -> list[Path]:
    """Build the distributions of both projects, or of others, into a folder; return the files."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target.absolute())]
    for project in projects:
        subprocess.run(command + ([] if kind == "all" else ["--target", kind]), cwd=project, check=True)
    return sorted(target.iterdir())


def test(python: str, wheels: list[Path]) -> int:
    """Run TESTS on wheels in a new environment of a Python; return pytest's exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        env = folder / "env"
        _uv("venv", "--python", python, str(env))
        inside = env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        _uv("pip", "install", "--python", str(inside), *map(str, wheels), *NEEDED)
        for part in FOLDERS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        files = subprocess.run([inside, "-c", _INSTALLED], cwd=folder, capture_output=True, text=True, check=True)
        assert all(Path(file).is_relative_to(env) for file in files.stdout.splitlines()), files.stdout
        options = ["-q", "--quick", "-p", "no:cacheprovider", "--override-ini", "pythonpath=."]
        return subprocess.run([inside, "-m", "pytest", *options, *TESTS], cwd=folder).returncode


def pythons(*, newer: bool = False) -> dict[str, str]:
    """Find each Python that the package is for, by its version. `newer`: only those of tools/pythons.py."""
    found = [] if newer else [*filter(None, (shutil.which(f"python3.{minor}") for minor in range(11, 16)))]
    found += [] if newer else map(str, sorted(Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python3")))
    by_version: dict[str, str] = {}
    for python in [*found, *map(str, sorted(ROOT.glob(NEWER)))]:
        asked = [python, "-c", "import sys; print(sys.version_info[:2])"]
        with contextlib.suppress(OSError):
            version = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
            if version:  # empty if pyenv's shim leads nowhere
                by_version.setdefault(version, python)
    return by_version


def _uv(*arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments]).returncode:
        sys.exit(f"uv {' '.join(arguments)} failed, see above")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.wheels")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build both distributions into dist/")
    under = commands.add_parser("test", help="test the wheels in dist/").add_mutually_exclusive_group()
    under.add_argument("--python", help="under this Python only: a path")
    under.add_argument("--here", dest="python", action="store_const", const=sys.executable, help="under this one only")
    under.add_argument("--newer", action="store_true", help="under those that `python -m tools.pythons` has installed")
    given = parser.parse_args()
    if given.command == "build":
        shutil.rmtree(DIST, ignore_errors=True)
        build()
        return 0
    if len(wheels := sorted(DIST.glob("*.whl"))) != len(PROJECTS):
        parser.error("dist/ does not have both wheels: first run python -m tools.wheels build")
    failed = []
    for version, python in ({"": given.python} if given.python else pythons(newer=given.newer)).items():
        print(f"== {python}", flush=True)
        if test(python, wheels):
            failed.append(version)
            print(f"failed under {python}" + (", which is allowed" if version in MAY_FAIL else ""), flush=True)
    return not {*failed} <= {*MAY_FAIL}


if __name__ == "__main__":
    sys.exit(main())
