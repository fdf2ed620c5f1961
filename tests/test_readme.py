"""README's code runs as pasted, README is short, and every link of the documentation leads somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

import zespan_serverless
from tests.documentation import PAGES, README, ROOT, blocks, run
from zespan_serverless import testing

(HANDLER,) = blocks(README)
HTTP = ("function-url", "apigateway-v2", "apigateway-v1", "alb")
PROMPT = '{"prompt": "Why is the sky blue?"}'
LINKED = [
    *ROOT.glob("*.md"),
    *(page for folder in ("deploy", "dev", "docs", "examples") for page in (ROOT / folder).rglob("*.md")),
]


def over_http(source: str, body: str | None, *, encoded: bool = False) -> dict[str, Any]:
    """AWS's own example of an event over HTTP, with another body; a GET has none, or null."""
    event: dict[str, Any] = json.loads((ROOT / f"tests/events/aws_lambda/{source}.json").read_text())
    event |= {"body": body and (b64encode(body.encode()).decode() if encoded else body), "isBase64Encoded": encoded}
    return event


@pytest.mark.parametrize(
    ("event", "prompt"),
    [
        ({"prompt": "Why is the sky blue?"}, "Why is the sky blue?"),
        ({}, "Hello!"),
        ({"body": PROMPT}, "Why is the sky blue?"),
        *((over_http(source, PROMPT), "Why is the sky blue?") for source in HTTP),
        *((over_http(source, PROMPT, encoded=True), "Why is the sky blue?") for source in HTTP),
        *((over_http(source, None), "Hello!") for source in HTTP),
    ],
)
def test_the_handler_sends_the_invocation_and_the_model_call(
    event: dict[str, Any], prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler answers, invoked directly or over HTTP, and its two events are one trace."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
    with ModelEndpoint(latency_ms=0) as model, testing.recording() as events:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        module = run(HANDLER)
        answer = module.handler(event, testing.LambdaContext())
        module.client.close()
    assert answer == {"statusCode": 200, "body": "Hello, serverless world!"}
    llm, root = events
    assert (llm["model"], llm["span_kind"]) == ("gpt-4o", "llm")
    assert prompt in llm["prompt_text"]
    assert llm["parent_span_id"] == root["span_id"]


@pytest.mark.slow
def test_the_commands_print_the_tree(tmp_path: Path) -> None:
    """What README shows below its two commands is what they print, but for times."""
    (console,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = "\n".join(re.findall(r"^\$ (.*)$", console, re.MULTILINE))
    shown = [line for line in console.splitlines() if not line.startswith("$")]
    (tmp_path / "app.py").write_text(HANDLER)
    with ModelEndpoint(latency_ms=50) as model:
        env = os.environ | {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-local", "COLUMNS": "100"}
        env |= {"ZESPAN_CONSOLE_FORMAT": "tree", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-ec", commands], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )

    def words(line: str) -> list[str]:
        return re.findall(r"[a-z][\w-]+|→ \d+|\$[\d.]+", line.partition("  cold start")[0])

    assert [words(line) for line in done.stdout.splitlines()] == [words(line) for line in shown], done.stderr
    assert words(shown[1])[:2] == ["gpt-4o", "chat"]


def test_readme_is_short_and_not_wide() -> None:
    """It has at most 700 words; code is not wider than GitHub shows without scrolling."""
    assert len(README.split()) <= 700
    code = "".join(re.findall(r"```\w+\n(.*?)```", README, re.DOTALL))
    assert max(map(len, code.splitlines())) <= 80


def test_readme_names_the_decorator_of_every_host() -> None:
    """A reader finds what to use on a host without opening its page."""
    names = {name for name in dir(zespan_serverless) if name.startswith("zespan_")}
    assert {name for name in names if not re.search(rf"`@?{name}\b", README)} == set()


def test_badges_say_what_the_package_declares() -> None:
    """Python, dependencies and license are those of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = [line.split("3.")[-1] for line in project["classifiers"] if "Python :: 3." in line]
    badges = re.findall(r"^!\[(.*?)\]\(https://img\.shields\.io/badge/(.*?)\)$", README, re.MULTILINE)
    assert project["dependencies"] == []
    assert project["requires-python"] == f">=3.{versions[0]}"
    assert badges == [
        (f"Python 3.{versions[0]} to 3.{versions[-1]}", f"python-3.{versions[0]}_to_3.{versions[-1]}-blue"),
        ("No dependencies", "dependencies-none-blue"),
        (f"License: {project['license']}", f"license-{project['license'].replace('-', '--').replace(' ', '_')}-blue"),
    ]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page leads to a file, and its anchor to a heading."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:href|src)="(.*?)"', text)]
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


def test_every_page_is_in_the_table_of_contents() -> None:
    """A page of docs/ that docs/README.md does not list is not found."""
    listed = set(re.findall(r"\]\((\w[\w/-]*)\.md\)", (ROOT / "docs/README.md").read_text()))
    assert listed == {*PAGES} - {"README"}
