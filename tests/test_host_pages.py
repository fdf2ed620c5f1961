"""The pages of docs/hosts/: their shape, handlers and deployments. Most handlers are run by the tests of their host."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from tests.environments import installed
from tests.hosts import GROUPS
from tests.support import ROOT, TRACE, TRACEPARENT
from tests.test_template import SAM, validate
from tools.timelines import PICTURES
from zespan_serverless import init, testing

HOSTS = {name: page for name, page in PAGES.items() if name.startswith("hosts/")}
SHAPE = ["When events are sent", "What survives", "Settings that matter", "Limits"]
# The pages of platforms and servers. Pages of workers have a shape of their own.
SHAPED = [
    *("lambda", "lambda-durable", "lambda-managed-instances", "lambda-microvm", "lambda-snapstart", "lambda-web"),
    *("agent-engine", "agentcore", "alibaba", "azure-functions", "cloud-run", "cloudflare", "cog", "digitalocean"),
    *("foundry", "google-cloud", "kubernetes", "modal", "oracle", "runpod", "scripts", "vercel", "web"),
]


def tab(page: str, name: str) -> str:
    """Return the content of a tab."""
    found = re.search(rf"^#### {name}\n(.*?)(?=^#### |^<!-- /tabs -->)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert found, name
    return found[1]


def block(text: str, language: str) -> str:
    """Return the first block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, language
    return found[1]


def test_every_block_is_run() -> None:
    """A new example needs a new test. Pages of workers are counted by their own tests."""
    counts = {name: len(blocks(HOSTS[f"hosts/{name}"])) for name in (*SHAPED, "other-hosts", "tasks")}
    assert {f"hosts/{name}": count for name, count in counts.items() if count} == {
        "hosts/agent-engine": 1,  # in agents/test_adk.py
        "hosts/agentcore": 1,  # in agents/test_examples.py
        "hosts/alibaba": 2,  # in faas/test_alibaba.py
        "hosts/azure-functions": 4,  # in azure_functions/test_examples.py and azure_functions/test_durable.py
        "hosts/cloud-run": 2,  # in google_cloud/test_example.py
        "hosts/digitalocean": 1,  # in faas/test_openwhisk.py
        "hosts/cloudflare": 3,  # in cloudflare/test_examples.py
        "hosts/cog": 1,  # in gpus/test_examples.py
        "hosts/foundry": 1,  # in agents/test_examples.py
        "hosts/google-cloud": 1,  # in google_cloud/test_example.py
        "hosts/kubernetes": 2,  # in faas/test_kubernetes.py
        "hosts/lambda": 2,
        "hosts/lambda-durable": 2,  # in aws_lambda/test_durable.py
        "hosts/lambda-snapstart": 1,  # in aws_lambda/test_snapstart.py
        "hosts/lambda-web": 1,  # in aws_lambda/test_web.py
        "hosts/modal": 1,  # in gpus/test_examples.py
        "hosts/oracle": 1,  # in faas/test_examples.py
        "hosts/runpod": 1,  # in gpus/test_examples.py
        "hosts/scripts": 2,  # in jobs/test_example.py
        "hosts/tasks": 3,
        "hosts/vercel": 4,  # in vercel/test_example.py, vercel/test_queue.py and vercel/test_workflows.py
        "hosts/web": 2,  # in web/test_examples.py
    }


@pytest.mark.parametrize("name", SHAPED)
def test_every_page_has_the_same_shape(name: str) -> None:
    """A reader finds the same sections on each page, in the same order, and a picture of one invocation."""
    headings = re.findall(r"^###? (.*)$", HOSTS[f"hosts/{name}"], re.MULTILINE)
    assert [heading for heading in headings if heading in SHAPE] == SHAPE
    assert re.search(r"^!\[.{20,}\]\(\.\./images/timelines/[\w-]+\.svg\)$", HOSTS[f"hosts/{name}"], re.MULTILINE)


def test_every_example_is_named_by_a_page() -> None:
    """A reader of a host's page finds each example, and each folder that deploys one."""
    linked = set(re.findall(r"\(\.\./\.\./((?:examples|deploy)/\w+)/", "".join(HOSTS.values())))
    folders = {f"{one.parts[-3]}/{one.parts[-2]}" for one in ROOT.glob("*/*/README.md")}
    assert {one for one in folders if one.startswith(("examples/", "deploy/"))} - linked == set()


@pytest.mark.parametrize(
    ("picture", "row", "host"),
    [
        ("lambda", "after_response", "AWS Lambda"),
        ("lambda-web-adapter", "web server", "Lambda Web Adapter, uvicorn (FastAPI)"),
        ("azure-functions", "default", "Azure Functions"),
        ("google-cloud", "billed by request", "Google functions, sync (gthread)"),
        ("google-cloud", "billed by request", "Cloud Run, request-billed, uvicorn (FastAPI)"),
        ("google-cloud", "billed by instance", "Cloud Run, instance-billed, uvicorn (FastAPI)"),
        ("vercel", "request", "Vercel, ASGI"),
    ],
)
def test_a_picture_has_the_order_that_the_tests_have_seen(picture: str, row: str, host: str) -> None:
    """The events are sent before or after the response, as the table of test results says of the host."""
    (parts,) = (one.parts for one in PICTURES[picture].rows if one.name == row)
    response = next(part.begin for part in parts if part.kind == "mark")
    sent = next(part.begin for part in parts if part.kind == "flush")
    (group,) = (group for group in GROUPS.values() if host in group.hosts)
    lines = [line for line in PAGES["hosts"].splitlines() if f"(hosts/{group.page}.md)" in line]
    (line,) = (
        lines[-1:]
        if len(lines) == 1 or "all others" in lines[-1]
        else [one for one in lines if group.hosts[host] in one]
    )
    assert ("after the response" in line, "before the response ends" in line) == (sent >= response, sent < response)


def test_the_table_of_results_is_narrow() -> None:
    """It has at most five columns."""
    assert max(line.count(" | ") for line in PAGES["hosts"].splitlines()) <= 4


def test_the_handler_on_lambda_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler answers, and its model call is below the invocation."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
    with ModelEndpoint(latency_ms=0) as model, testing.recording() as events:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        module = run(blocks(PAGES["hosts/lambda"])[0])
        assert module.handler({"prompt": "Hi"}, testing.LambdaContext()) == {"answer": "Hello, serverless world!"}
        module.client.close()
    call, root = events
    assert (call["model"], call["parent_span_id"]) == ("gpt-4o", root["span_id"])


def test_the_tasks_of_the_page_are_traced(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the three blocks sends one event; a task can fail without an exception."""
    message, answer, work = (run(example) for example in blocks(PAGES["hosts/tasks"]))
    with testing.recording() as events, init():
        message.process({"id": "m1", "headers": {"traceparent": TRACEPARENT}, "body": ""})
        assert asyncio.run(answer.answer("why")) == "WHY"
        work.after_the_response(["one"])
    assert capsys.readouterr().out == "one\n"
    assert [event["operation"] for event in events] == ["index document", "answer", "index documents"]
    assert (events[0]["trace_id"], events[0]["status"], events[0]["metadata"]["pages"]) == (TRACE, "error", 12)


@pytest.mark.parametrize(
    ("name", "language", "file"),
    [
        ("SAM", "yaml", "template.yaml"),
        ("Terraform", "hcl", "main.tf"),
        ("Serverless Framework", "yaml", "serverless.yml"),
        ("Container image", "dockerfile", "Dockerfile"),
    ],
)
def test_the_doctor_finds_no_fault_in_a_deployment(name: str, language: str, file: str, tmp_path: Path) -> None:
    """The function of the tab has the key, the right to read it, and time for its flush."""
    (tmp_path / "app.py").write_text(blocks(PAGES["hosts/lambda"])[0])
    (tmp_path / file).write_text(block(tab("hosts/lambda", name), language))
    result = diagnose(read(tmp_path), selected([], []))
    assert len(result.project.functions) == 1
    assert [f"{one.rule.id} {one.message}" for one in result.findings if one.rule.level != "info"] == []
    assert result.project.skipped == []


@pytest.mark.host(seconds=3)
@pytest.mark.skipif(not SAM.exists(), reason="no SAM CLI: `make test` installs it in .venv-sam, or set ZESPAN_SAM")
def test_sam_accepts_the_template_of_the_page(tmp_path: Path) -> None:
    """It passes `sam validate --lint`, with the lines for SnapStart as well."""
    lines = block(tab("hosts/lambda-snapstart", "SAM"), "yaml").partition("\n")[2]
    properties = "".join(f"      {line}\n" for line in lines.splitlines())
    (template := tmp_path / "template.yaml").write_text(block(tab("hosts/lambda", "SAM"), "yaml") + properties)
    done = validate(template)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.host(seconds=1)
@pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform on the PATH")
def test_terraform_of_the_page_is_formatted(tmp_path: Path) -> None:
    """Terraform reads the block, and would not lay it out otherwise."""
    (tmp_path / "main.tf").write_text(block(tab("hosts/lambda", "Terraform"), "hcl"))
    done = subprocess.run(["terraform", "fmt", "-check", "-diff"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.host(seconds=10)
@pytest.mark.skipif(not shutil.which("node"), reason="CDK runs on Node")
def test_cdk_makes_the_function_of_the_page(tmp_path: Path) -> None:
    """The function has the key's name, and its role may read the parameter."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "app.py").write_text(blocks(PAGES["hosts/lambda"])[0])
    (tmp_path / "infra.py").write_text(block(tab("hosts/lambda", "CDK"), "python"))
    env = {**os.environ, "CDK_OUTDIR": str(tmp_path / "out")}
    subprocess.run([installed("deploy", "cdk"), "infra.py"], cwd=tmp_path, env=env, check=True, timeout=120)
    template = json.loads((tmp_path / "out" / "chat.template.json").read_text())
    (function,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    assert function["Properties"]["Environment"] == {"Variables": {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}}
    (policy,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::IAM::Policy")
    assert "ssm:GetParameter" in policy["Properties"]["PolicyDocument"]["Statement"][0]["Action"]
