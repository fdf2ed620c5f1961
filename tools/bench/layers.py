"""The folders that the functions' packages are in, as in a layer: with bytecode, and without.

They are beside the environment that this runs in, and made again when a requirement changes. This package is copied
from the checkout at each start.
"""

from __future__ import annotations

import compileall
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import zespan_serverless

from .subjects import OPENAI, RUNTIME, Subject

FOLDER = Path(sys.prefix) / "bench"


def python() -> Path:
    """Return an interpreter that has no packages."""
    found = FOLDER / "python" / "bin" / "python"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", FOLDER / "python"], check=True)
    return found


def runtime() -> Path:
    """Return the folder with Lambda's runtime client, which is not part of a function."""
    return installed((RUNTIME,))


def layer(subject: Subject, bytecode: bool = True) -> Path:
    """Return the folder with the packages of a subject."""
    return _layer((OPENAI, *subject.requirements), subject.has_package, bytecode)


@functools.cache
def _layer(requirements: tuple[str, ...], has_package: bool, bytecode: bool) -> Path:
    if not bytecode:
        found = _layer(requirements, has_package, True)
        return _copy(found, f"{found.name}-source", without="__pycache__")
    found = installed(requirements)
    if has_package:
        found = _copy(found, f"{found.name}-package")
        package = Path(zespan_serverless.__file__).parent
        shutil.copytree(package, found / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(found / package.name, quiet=1)
    return found


def versions(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages in a folder."""
    found = [path.name.removesuffix(".dist-info").rpartition("-") for path in folder.glob("*.dist-info")]
    known = {name.replace("_", "-").lower(): version for name, _, version in found}
    return {
        name: known[name] for name in (name.partition("==")[0].partition("[")[0] for name in names) if name in known
    }


def installed(requirements: tuple[str, ...]) -> Path:
    """Return the folder with those packages, and install them if there is none."""
    folder = FOLDER / hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    if folder.exists():
        return folder
    print(f"Installing {', '.join(requirements)}", file=sys.stderr)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    into = ["--quiet", "--target", str(partial), *requirements]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", str(python()), "--compile-bytecode", *into]
    if subprocess.run(uv, check=False).returncode:  # it does not read pip's configuration
        subprocess.run([sys.executable, "-m", "pip", "install", *into], check=True)
    return partial.rename(folder)


def _copy(folder: Path, name: str, without: str = "") -> Path:
    """Return a new copy of a folder, whose files are links, so that it costs no time."""
    copy = FOLDER / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns(without) if without else None)
    return copy
