"""The examples with the files that deploy them, on the platforms whose own tools do not run here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.lookup import handler_of
from zespan_serverless_dev.doctor.readers import read

from tests.documentation import PAGES
from tests.support import ROOT

EXAMPLES = ROOT / "examples"
CHAT = "packages/shop/chat"

# Page, the first line of its block, the file of the example. Other tests run the block on the platform's runtime.
FILES = [
    ("alibaba", "# code/index.py", "alibaba/code/index.py"),
    ("alibaba", "# s.yaml", "alibaba/s.yaml"),
    ("digitalocean", f"# {CHAT}/__main__.py", f"digitalocean/{CHAT}/__main__.py"),
    ("digitalocean", f"# {CHAT}/build.sh", f"digitalocean/{CHAT}/build.sh"),
    ("digitalocean", "# project.yml", "digitalocean/project.yml"),
    ("kubernetes", "# function/func.py, of Knative's Python template", "kubernetes/knative/function/func.py"),
    ("runpod", "FROM python:3.13-slim", "gpus/Dockerfile"),
    ("cog", "build:", "gpus/cog.yaml"),
]
FUNCTIONS = {
    "alibaba": ("alibaba", "index.handler"),
    "digitalocean": ("digitalocean", "__main__.main"),
    "kubernetes/openfaas": ("openfaas", "handler.handle"),
    "kubernetes/knative": ("knative", "function.func.new"),
    "gpus": ("cog", "run.Runner"),
}
PAGES_OF_DEPLOYMENT = sorted(
    ROOT / "deploy" / name / "README.md" for name in ("alibaba", "cloudflare", "digitalocean", "gpus", "kubernetes")
)


@pytest.mark.parametrize(("page", "first", "file"), FILES, ids=[file for _, _, file in FILES])
def test_the_file_of_an_example_is_the_block_of_its_page(page: str, first: str, file: str) -> None:
    """What the page shows can be deployed: it is the file, but for a comment or docstring at its beginning."""
    (block,) = re.findall(rf"^```\w+\n({re.escape(first)}\n.*?)^```", PAGES[f"hosts/{page}"], re.DOTALL | re.MULTILINE)
    text = (EXAMPLES / file).read_text()
    if first.startswith("#"):
        block = block.partition("\n")[2]
        text = re.sub(r'\A(""".*?"""\n\n|#!.*\n)', "", text)
    assert text == block


@pytest.mark.parametrize("folder", FUNCTIONS)
def test_the_deployment_file_names_a_function_of_the_example(folder: str) -> None:
    """The name leads to code. That it is traced, has its key and time to flush is in tests/dev/doctor."""
    project = read(EXAMPLES / folder)
    host, handler = FUNCTIONS[folder]
    (function,) = (each for each in project.functions if each.host == host)
    assert function.handler == handler
    assert handler_of(project, function) is not None


def test_the_project_of_knative_names_the_wheel() -> None:
    """By a path that hatchling, the build backend of the template, makes absolute."""
    project = tomllib.loads((EXAMPLES / "kubernetes/knative/pyproject.toml").read_text())
    (ours,) = (each for each in project["project"]["dependencies"] if "zespan" in each)
    assert re.fullmatch(r"zespan-serverless @ \{root:uri\}/dist/zespan_serverless-[\d.]+-py3-none-any\.whl", ours)
    assert project["tool"]["hatch"]["metadata"]["allow-direct-references"] is True


def test_openfaas_has_every_timeout() -> None:
    """The watchdog ends a request at the shortest of the three, and what is not set has a default."""
    (function,) = read(EXAMPLES / "kubernetes/openfaas").functions
    names = ("exec_timeout", "read_timeout", "write_timeout")
    assert {name: function.environment[name].value for name in names if name in function.environment} == dict.fromkeys(
        names, "60s"
    )


def test_the_worker_names_its_module() -> None:
    """wrangler.toml leads to code, and has no key."""
    worker = tomllib.loads((EXAMPLES / "cloudflare/wrangler.toml").read_text())
    assert (EXAMPLES / "cloudflare" / worker["main"]).is_file()
    assert not [name for name in worker["vars"] if "KEY" in name]


@pytest.mark.parametrize("page", PAGES_OF_DEPLOYMENT, ids=lambda page: page.parent.name)
def test_a_page_of_deployment_has_one_shape(page: Path) -> None:
    """It leads to the example, says where both keys go, how to see that it works, and what has not been tried."""
    text = page.read_text()
    assert f"](../../examples/{page.parent.name}/README.md)" in text
    assert "OPENAI_API_KEY" in text or "openai-api-key" in text
    assert "in a line that begins with" in text.replace("\n", " ")
    assert "have not been run" in text.replace("\n", " ")
