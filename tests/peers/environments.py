"""The environments of the tools that trace openai, too: one for each, on top of the one that the tests run in.

`python -m tests.peers.environments` installs what is missing, and so does `make test`. Each has the tool and what it
needs beyond the tests' own packages, which it sees as well: a second or two and a few megabytes.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(sys.prefix) / "peers"

_OTEL = "opentelemetry-sdk==1.45.2"

PEERS = {
    "langfuse 2": ["langfuse==2.60.10"],
    "langfuse 3": ["langfuse==3.9.3"],
    "langfuse 5": ["langfuse==5.0.4"],
    "sentry": ["sentry-sdk==2.75.0"],
    "opentelemetry": ["opentelemetry-instrumentation-openai-v2==2.4b0", "opentelemetry-util-genai==1.0b0", _OTEL],
    "traceloop": ["opentelemetry-instrumentation-openai==0.62.4", _OTEL],
    "openinference": ["openinference-instrumentation-openai==0.1.66", _OTEL],
    "ddtrace": ["ddtrace==4.16.0"],
    "logfire": ["logfire==5.4.0"],
    "langsmith": ["langsmith==0.15.1"],
    "braintrust": ["braintrust==0.48.1"],
    "posthog": ["posthog==7.91.1"],
}
"""What is installed for each."""


def python_of(peer: str) -> Path | None:
    """The interpreter of a tool's environment; None if that is not installed, or not as it should be."""
    folder = _folder(peer)
    try:
        return folder / "bin" / "python" if _stamp(folder).read_text() == _contents(peer) else None
    except OSError:
        return None


def install(peer: str) -> None:
    """Make a tool's environment. Raises CalledProcessError if pip does."""
    folder = _folder(peer)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if Path(path).name == "site-packages")
    (site / "tests_environment.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, *PEERS[peer]], check=True)
    _stamp(folder).write_text(_contents(peer))


def _folder(peer: str) -> Path:
    return FOLDER / peer.replace(" ", "")


def _stamp(folder: Path) -> Path:
    return folder / "installed.txt"


def _contents(peer: str) -> str:
    return "\n".join(PEERS[peer])


if __name__ == "__main__":
    with ThreadPoolExecutor(3) as pool:  # pip waits for the network most of the time
        list(pool.map(install, (peer for peer in PEERS if python_of(peer) is None)))
