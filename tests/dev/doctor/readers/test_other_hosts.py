"""Azure, Vercel, Cloudflare, Cloud Run and containers, read into the model."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from zespan_serverless_dev.doctor.model import UNKNOWN, Function, Project
from zespan_serverless_dev.doctor.readers import azure, cloud_run, cloudflare, docker, vercel

ROOT = Path(__file__).parents[4]


def read(reader: ModuleType, folder: Path, files: dict[str, str] | None = None) -> Project:
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    project = Project(folder)
    reader.read(folder, project)
    return project


def one(reader: ModuleType, folder: Path, files: dict[str, str] | None = None) -> Function:
    (function,) = read(reader, folder, files).functions
    return function


@pytest.mark.parametrize(
    ("written", "seconds"), [("00:05:00", 300), ("1.00:00:00", 86_400), ("-1", float("inf")), ("5 min", UNKNOWN)]
)
def test_host_json_has_the_timeout(tmp_path: Path, written: str, seconds: object) -> None:
    """host.json, which may have comments, has the timeout of an app, and local.settings.json its variables."""
    function = one(
        azure,
        tmp_path,
        {
            "function_app.py": "",
            "host.json": f'{{\n  // ours\n  "functionTimeout": "{written}", /* minutes */\n}}',
            "local.settings.json": '{"Values": {"ZESPAN_FLUSH_MODE": "before_return"}}',
        },
    )
    assert (function.timeout_s, function.places["timeout_s"].line) == (seconds, 3)
    assert function.environment["ZESPAN_FLUSH_MODE"].value == "before_return"


def test_azure_functions_of_other_languages_are_left_alone(tmp_path: Path) -> None:
    """A host.json without Python beside it is not reported."""
    assert read(azure, tmp_path, {"host.json": "{}", "index.js": ""}).functions == []


def test_vercel_json_patterns_are_functions(tmp_path: Path) -> None:
    """Patterns that stand for Python files are functions with their maxDuration."""
    files = {
        "api/ask.py": "",
        "api/page.js": "",
        "vercel.json": '{"functions": {\n"api/*.py": {"maxDuration": 60},\n"api/*.js": {"maxDuration": 5}}}',
    }
    function = one(vercel, tmp_path, files)
    assert (function.name, function.timeout_s, function.place.line) == ("api/*.py", 60, 2)


def test_a_python_worker_is_read(tmp_path: Path) -> None:
    """A Worker whose main file is Python is read, with the lines of its variables."""
    text = 'name = "chat"\nmain = "src/entry.py"\n[vars]\nZESPAN_EXPORTER = "otlp"\n'
    function = one(cloudflare, tmp_path, {"wrangler.toml": text})
    assert (function.host, function.name, function.code) == ("cloudflare", "chat", tmp_path / "src")
    assert function.environment["ZESPAN_EXPORTER"].place.line == 4


def test_cloudflare_with_comments(tmp_path: Path) -> None:
    """wrangler.jsonc may have comments, and "//" in a string is none."""
    text = '{\n// the Worker\n"main": "a.py", "vars": {\n"URL": "https://x"}}'
    assert one(cloudflare, tmp_path, {"wrangler.jsonc": text}).environment["URL"].value == "https://x"
    (tmp_path / "wrangler.jsonc").write_text('{"main": "worker.ts"}')
    assert read(cloudflare, tmp_path).functions == []


def test_a_cloud_run_service_has_timeout_variables_and_billing(tmp_path: Path) -> None:
    """A service in YAML tells its timeout, its variables, and whether its CPU is throttled."""
    text = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: chat
spec:
  template:
    metadata:
      annotations:
        run.googleapis.com/cpu-throttling: "false"
    spec:
      timeoutSeconds: 60
      containers:
        - env:
            - name: ZESPAN_FLUSH_MODE
              value: after_response
            - name: ZESPAN_API_KEY
              valueFrom: {secretKeyRef: {name: key, key: latest}}
"""
    function = one(cloud_run, tmp_path, {"service.yaml": text})
    assert (function.name, function.timeout_s, function.has_cpu_after_response) == ("chat", 60, True)
    assert function.environment["ZESPAN_FLUSH_MODE"].value == "after_response"
    assert function.environment["ZESPAN_API_KEY"].value is UNKNOWN
    throttled = one(cloud_run, tmp_path, {"service.yaml": text.replace('"false"', '"true"')})
    assert throttled.has_cpu_after_response is False


def test_an_image_for_lambda() -> None:
    """The Dockerfile of deploy/ is a function of Lambda with our handler."""
    project = Project(ROOT)
    docker.read(ROOT / "deploy/aws_lambda", project)
    (function,) = project.functions
    assert (function.host, function.runtime, function.handler) == (
        *("aws_lambda", "python3.13"),
        "zespan_serverless.aws_lambda.auto.handler",
    )
    assert function.environment["ZESPAN_LAMBDA_HANDLER"].value == "app.handler"


@pytest.mark.parametrize(
    ("command", "is_shell"),
    [
        ('CMD ["uvicorn", "app:app"]', False),
        ("CMD exec uvicorn app:app", False),
        ("CMD uvicorn app:app --port $PORT", True),
        ('ENTRYPOINT ["tini", "--"]\nCMD uvicorn app:app', False),
    ],
)
def test_how_a_container_starts(tmp_path: Path, command: str, is_shell: bool) -> None:
    """A command in shell form is run by a shell, unless it begins with exec or is an entrypoint's argument."""
    text = f'FROM python:3.13-slim\nENV A=1 \\\n    B="x y"\n{command}\n'
    function = one(docker, tmp_path, {"Dockerfile": text})
    assert (function.host, function.starts_in_shell) == ("container", is_shell)
    assert {name: each.value for name, each in function.environment.items()} == {"A": "1", "B": "x y"}
