"""The Lambda layer as a zip: this package, and a wrapper that traces a function whose code nobody touches.

Nothing in it is compiled and nothing is brought along, so that one zip serves every Python version and architecture,
and a package of the user's or of the runtime's is never shadowed. The same version gives the same bytes.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from ._version import __version__

WRAPPER = """\
#!/bin/sh
# AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper: Lambda starts its runtime through this.
# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
case "$AWS_EXECUTION_ENV" in
    AWS_Lambda_python3.[0-9] | AWS_Lambda_python3.10)
        echo "zespan-serverless needs Python 3.11 or newer: this function runs untraced" >&2
        exec "$@" ;;
esac
export ZESPAN_LAMBDA_HANDLER="$_HANDLER"
export _HANDLER=zespan_serverless.aws_lambda.auto.handler
exec "$@"
"""

_METADATA = f"""\
Metadata-Version: 2.1
Name: zespan-serverless
Version: {__version__}
License-Expression: Apache-2.0
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


def build(target: Path) -> int:
    """Write the layer to `target`; its size in bytes."""
    package = Path(__file__).parent
    files = {"zespan/wrapper": WRAPPER.encode()}
    info = f"python/zespan_serverless-{__version__}.dist-info"
    files[f"{info}/METADATA"] = _METADATA.encode()
    for path in package.rglob("*"):
        if path.suffix == ".py" or path.name == "py.typed":
            files[f"python/zespan_serverless/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    with zipfile.ZipFile(target, "w") as layer:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this runs on
            entry.external_attr = (0o755 if name == "zespan/wrapper" else 0o644) << 16
            layer.writestr(entry, files[name], compresslevel=9)
    return target.stat().st_size
