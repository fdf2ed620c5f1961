"""The libraries of the page of `zespan-serverless dev`, as files of npm's packages that a browser can load as they are.

python -m tools.vendor          makes page/vendor/ anew from the versions below
python -m tools.vendor --check  says which files differ from npm's
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "dev" / "zespan_serverless_dev" / "page" / "vendor"
HASHES = FOLDER / "hashes.json"
AXE = "axe-core@4.14.1"  # only the tests use it: it is downloaded, not kept

# name of our file -> (npm's package, its file)
FILES = {
    "preact.js": ("preact@11.2.0", "dist/preact.mjs"),
    "hooks.js": ("preact@11.2.0", "hooks/dist/hooks.mjs"),
    "signals-core.js": ("@preact/signals-core@1.14.5", "dist/signals-core.mjs"),
    "signals.js": ("@preact/signals@2.11.4", "dist/signals.mjs"),
    "htm.js": ("htm@3.1.1", "dist/htm.mjs"),
    "LICENSE.preact.txt": ("preact@11.2.0", "LICENSE"),
    "LICENSE.signals.txt": ("@preact/signals@2.11.4", "LICENSE"),
    "LICENSE.htm.txt": ("htm@3.1.1", "LICENSE"),
}
# A browser finds a package by its name only with an import map, which the page's security policy does not allow.
SPECIFIERS = {
    b'"preact"': b'"./preact.js"',
    b'"preact/hooks"': b'"./hooks.js"',
    b'"@preact/signals-core"': b'"./signals-core.js"',
}


class RegistryUnavailable(RuntimeError):
    """npm is not installed, or reaches no registry; says why."""


def package(name: str) -> dict[str, bytes]:
    """Download one package of npm; return its files by their paths."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", name]
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise RegistryUnavailable(f"npm cannot be run: {problem}") from problem
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise RegistryUnavailable(f"npm does not get {name}: {done.stderr.strip()[-300:]}")
        return _files(archives[0].read_bytes())


def made() -> dict[str, bytes]:
    """Make the files of page/vendor/ from npm's packages."""
    packages = {name: package(name) for name in sorted({name for name, _ in FILES.values()})}
    return {target: _adapted(packages[name][path]) for target, (name, path) in FILES.items()}


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def _adapted(source: bytes) -> bytes:
    for package_name, file in SPECIFIERS.items():
        source = source.replace(b"from" + package_name, b"from" + file)
    return re.sub(rb"//# sourceMappingURL=\S+\s*$", b"", source).rstrip() + b"\n"


def _files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = ((member, tar.extractfile(member)) for member in tar if member.isfile())
        return {member.name.partition("/")[2]: file.read() for member, file in found if file}


def main() -> int:
    files = made()
    if "--check" in sys.argv[1:]:
        different = [name for name, content in files.items() if (FOLDER / name).read_bytes() != content]
        print("\n".join(f"{name} differs from npm's file" for name in different) or "All files are npm's.")
        return bool(different)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    HASHES.write_text(json.dumps(hashes(files), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
