"""Builds the Lambda layer: a zip of this package, and a wrapper that traces functions without changing them.

The zip contains no machine code and no other package. So it works with every Python version and architecture, and
shadows no package of the user's or of the runtime's. The same version of this package gives the same bytes. The sources
have no comments and docstrings, which would only take space.

Lambda cannot write bytecode into a layer, and would compile the package at every cold start. So the layer includes the
bytecode for the Python versions that are given; others compile the sources.
"""

from __future__ import annotations

import ast
import io
import os
import subprocess
import tempfile
import tokenize
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ._version import __version__
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

WRAPPER = """\
#!/bin/sh
# AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper: Lambda starts its runtime through this.
# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
case "$AWS_EXECUTION_ENV" in
    AWS_Lambda_python3.[0-9] | AWS_Lambda_python3.10)
        echo "zespan-serverless needs Python 3.11 or newer: this function runs untraced" >&2
        exec "$@" ;;
esac
if [ "$_HANDLER" != zespan_serverless.aws_lambda.auto.handler ]; then # it may be set by hand already
    export ZESPAN_LAMBDA_HANDLER="$_HANDLER"
    export _HANDLER=zespan_serverless.aws_lambda.auto.handler
fi
exec "$@"
"""

# AWS's names of the runtimes that the zip works with.
RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")

_METADATA = f"""\
Metadata-Version: 2.1
Name: zespan-serverless
Version: {__version__}
License-Expression: Apache-2.0
"""

_ENTRY_POINTS = """\
[aws_durable_execution.plugins]
zespan = zespan_serverless.durable:operations
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can contain

EXCLUDED = (
    "testing",
    "__main__.py",
    "cli.py",
    "_layer.py",
    "_replay.py",
    "_bytecode.py",
    "adk.py",
    "agentcore",
    "_platforms/agentcore.py",
    "alibaba.py",
    "openwhisk.py",
    "oracle.py",
    "_platforms/knative.py",
    "_platforms/openwhisk.py",
    "_platforms/oracle.py",
    "_platforms/cloudflare.py",
    "_platforms/foundry.py",
    "_platforms/function_compute.py",
    "azure_functions",
    "_platforms/azure.py",
    "google_cloud",
    "_platforms/google.py",
    "vercel.py",
    "vercel_queue.py",
    "vercel_step",
    "_platforms/vercel.py",
    "cloudflare.py",
    "_base/javascript.py",
    "_delivery/in_loop.py",
    "_http/fetching.py",
    "tasks.py",
    "_worker.py",
    "_calls.py",
    "celery.py",
    "cog.py",
    "dramatiq.py",
    "modal.py",
    "rq.py",
    "runpod.py",
    "temporal.py",
    "exporters/_trees",
    "_process/overriding.py",
)
"""Files and folders of the package that are not imported on Lambda."""


def build(target: Path, pythons: Sequence[str] = ()) -> int:
    """Write the layer to `target`, and return its size in bytes.

    `pythons` are commands or paths of the Python versions to include bytecode for. Raises ConfigurationError for one
    that cannot be run, or is too old.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        package, info = root / "python" / "zespan_serverless", f"zespan_serverless-{__version__}.dist-info"
        _copy(Path(__file__).parent, package)
        for python in pythons:
            _compile(python, package)
        texts = {f"python/{info}/METADATA": _METADATA, f"python/{info}/entry_points.txt": _ENTRY_POINTS}
        for name, text in {**texts, "zespan/wrapper": WRAPPER}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, newline="\n")
        _zip(root, target)
    return target.stat().st_size


def _copy(source: Path, target: Path) -> None:
    """Copy the sources of the package, except EXCLUDED and hidden files. File modes are not copied."""
    for file in source.rglob("*"):
        name = file.relative_to(source)
        is_excluded = any(name.is_relative_to(excluded) for excluded in EXCLUDED)
        if file.suffix in (".py", ".typed") and file.name[0] != "." and not is_excluded:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(_code_only(file.read_bytes()))


def _code_only(source: bytes) -> bytes:
    """Blank out comments and docstrings, a third of the bytes. Line numbers stay the same, for tracebacks."""
    lines = source.splitlines(keepends=True)
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1].decode()[:column].rstrip().encode() + b"\n"
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str):
                first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
                after = lines[last][statement.end_col_offset :]
                lines[first] = lines[first][: statement.col_offset] + (b"pass" if body == [statement] else b"")
                if last > first:
                    lines[first : last + 1] = [lines[first] + b"\n", *[b"\n"] * (last - first - 1), after]
                else:
                    lines[first] += after
    return b"".join(lines)


def _compile(python: str, package: Path) -> None:
    """Add bytecode for a Python version. `_bytecode.py` is passed as text: a script would import our `types.py`."""
    script = Path(__file__).with_name("_bytecode.py").read_text()
    try:
        subprocess.run(
            [python, "-X", "no_debug_ranges", "-c", script, package],
            # The same order of sets each time; .pyc files next to the sources.
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": ""},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise ConfigurationError(f"{python} cannot compile the package: {str(reason).strip()}") from None


def _zip(root: Path, target: Path) -> None:
    """Zip all files below `root`. The bytes do not depend on the time or the system."""
    with zipfile.ZipFile(target, "w") as layer:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this runs on
            entry.external_attr = (0o755 if name == "zespan/wrapper" else 0o644) << 16
            layer.writestr(entry, path.read_bytes(), compresslevel=9)
