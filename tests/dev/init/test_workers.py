"""Workers are no scripts: one run would contain all their jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev.init.command import init

WORKERS = {
    "runpod": "import runpod",
    "temporal": "from temporalio.worker import Worker",
    "rq": "from rq import Queue, Worker",
    "agentcore": "from bedrock_agentcore import BedrockAgentCoreApp",
    "foundry": "from azure.ai.agentserver.invocations import InvocationAgentServerHost",
}
MAIN = """
from openai import OpenAI


def main():
    serve()


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("name", WORKERS)
def test_main_of_a_worker_is_no_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKERS[name] + MAIN)
    assert "@run" not in init(tmp_path).out


def test_main_of_a_publisher_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "publish.py").write_text("from rq import Queue" + MAIN)
    assert '+@run("publish")' in init(tmp_path).out


QUEUES = {
    "import rq.job": "rq worker -w zespan_serverless.rq.ZespanWorker",
    "import dramatiq": "zespan_dramatiq",
    "from temporalio.worker import Worker": "ZespanInterceptor",
    "from google.adk.agents import Agent": "ZespanPlugin",
}


@pytest.mark.parametrize("line", QUEUES)
def test_queues_that_need_more_than_a_line_are_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(f"{line}\n")
    ran = init(tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert QUEUES[line] in ran.err


def test_handler_in_the_custom_runtime_of_alibaba_is_none_of_lambda(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context): ...\n")
    (tmp_path / "s.yaml").write_text("resources: {a: {component: fc3, props: {runtime: custom.debian10, code: ./}}}\n")
    assert init(tmp_path).out == ""


def test_application_in_a_worker_has_its_middleware_only(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text(
        "import asgi\nfrom fastapi import FastAPI\nfrom workers import WorkerEntrypoint\n\napp = FastAPI()\n\n\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n        return await asgi.fetch(app, request, self.env)\n"
    )
    out = init(tmp_path).out
    assert "+app.add_middleware(ZespanMiddleware)" in out
    assert "zespan_cloudflare" not in out


def test_packages_of_another_project_are_no_functions_of_digitalocean(tmp_path: Path) -> None:
    (tmp_path / "packages/a/b").mkdir(parents=True)
    (tmp_path / "project.yml").write_text("name: monorepo\npackages: [a]\n")
    for file in ("packages/a/b/__main__.py", "packages/a/tool.py"):
        (tmp_path / file).write_text("def main(): ...\n")
    assert init(tmp_path).code == 3


def test_file_alone_in_a_folder_of_digitalocean_is_named(tmp_path: Path) -> None:
    """It is deployed without packages, unless it is `__main__.py`."""
    (tmp_path / "packages/sample/hello").mkdir(parents=True)
    (tmp_path / "project.yml").write_text("packages:\n- name: sample\n  functions:\n  - name: hello\n")
    (tmp_path / "packages/sample/hello/hello.py").write_text("def main(args): ...\n")
    ran = init(tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert "hello/hello.py: a single file has no packages: name it __main__.py, and run this again" in ran.err


def test_main_of_digitalocean_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "packages/shop/chat").mkdir(parents=True)
    (tmp_path / "project.yml").write_text("packages:\n- name: shop\n  functions:\n  - name: chat\n    main: run\n")
    (tmp_path / "packages/shop/chat/__main__.py").write_text("def run(event, context): ...\n")
    assert "+@zespan_openwhisk\n def run(event, context)" in init(tmp_path).out


OPENFAAS = "provider: {name: openfaas}\nfunctions: {chat: {lang: python3-http, handler: ./chat, image: chat}}\n"


def test_function_of_openfaas_gets_a_note(tmp_path: Path) -> None:
    """Its code has to be put into a block, which init does not do; its handler is none of Lambda."""
    (tmp_path / "chat").mkdir()
    (tmp_path / "stack.yaml").write_text(OPENFAAS)
    (tmp_path / "chat/handler.py").write_text("def handle(event, context): ...\n")
    ran = init(tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert "chat/handler.py: put the code of handle below with task_scope" in ran.err


@pytest.mark.parametrize("code", ["def new():\n    return handle\n", "class F: ...\n\n\ndef new():\n    return F()\n"])
def test_function_of_knative_without_a_constructor_gets_a_note(code: str, tmp_path: Path) -> None:
    (tmp_path / "func.yaml").write_text("specVersion: 0.36.0\nname: chat\nruntime: python\n")
    (tmp_path / "func.py").write_text(f"async def handle(scope, receive, send): ...\n\n\n{code}")
    ran = init(tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert "func.py: wrap handle in ZespanMiddleware" in ran.err


def test_function_of_another_platform_is_not_named(tmp_path: Path) -> None:
    """`--function` is for templates of AWS; the error names what there is of them."""
    (tmp_path / "stack.yaml").write_text(OPENFAAS)
    ran = init(tmp_path, "--function", "chat")
    assert (ran.code, ran.err) == (2, "zespan-serverless init: there is no function 'chat': the project's are none\n")


def test_handler_beside_the_file_of_knative_is_none_of_oracle(tmp_path: Path) -> None:
    """Both tools have a func.yaml."""
    (tmp_path / "func.yaml").write_text("specVersion: 0.36.0\nname: chat\nruntime: python\n")
    (tmp_path / "tools.py").write_text("def handler(ctx, data): ...\n")
    assert init(tmp_path).out == ""


def test_handler_of_runpod_from_another_module_gets_a_note(tmp_path: Path) -> None:
    """What a worker starts may be imported, or made by a call."""
    (tmp_path / "main.py").write_text(
        "import runpod\nfrom engine import handler\n\nrunpod.serverless.start({'handler': handler})\n"
    )
    (tmp_path / "engine.py").write_text("def handler(job): ...\n")
    ran = init(tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert "main.py: put @zespan_runpod above the handler that it starts" in ran.err
