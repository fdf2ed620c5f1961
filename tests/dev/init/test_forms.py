"""However code is written, an edit adds its lines and nothing else, and `patch` makes the same of the diff."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import pytest

from tests.dev.init.command import contents, init
from tests.dev.init.test_projects import patched

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: deep.inside.app.handler
      Runtime: python3.13
"""
HEADS = {
    "nothing": "",
    "docstring": '"""What it does."""\n',
    "docstring of lines": '"""What\n\nit does.\n"""\n\n',
    "shebang": "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n",
    "comment": "# About the handler.\n",
    "future": "from __future__ import annotations\n\n",
    "standard": "import json\nimport os, sys\n\n\n",
    "outside": "import json\n\nimport openai\nfrom openai import (\n    OpenAI,\n)\n\n",
    "ours": "from zespan_serverless import span\n\n",
    "ours with a comment": "from zespan_serverless import span  # a step\n\n",
    "ours under another name": "import json\nfrom zespan_serverless import zespan_lambda as traced\n\n",
    "relative": "from . import other\n\n",
    "attempt": "try:\n    import orjson as json\nexcept ImportError:\n    import json\n\n",
}
BODIES = {
    "plain": "def handler(event, context):\n\treturn 'tab'\n",
    "asynchronous": "async def handler(event, context):\n    return 'ok'\n",
    "decorated": "def other(f):\n    return f\n\n\n@other  # 1\n# 2\n@other\ndef handler(event, context): return 1\n",
    "defined twice": "def handler(event, context):\n    return 1\n\n\ndef handler(event, context):\n    return 2\n",
    "assigned": "def make():\n    return lambda event, context: 'ok'\n\n\nhandler = make()  # made",
    "annotated": "handler: object = print\n\nX = '''\ndef handler(): ...\n'''\n",
    "without an end": "def handler(event, context):\n    return 'ok'",
}
FORMS = {"unix": ("", "\n"), "windows": ("", "\r\n"), "mark": ("\ufeff", "\n"), "windows and mark": ("\ufeff", "\r\n")}


def written(folder: Path, code: str, form: tuple[str, str]) -> Path:
    """Return a project with this code, in files of this form."""
    (folder / "src/deep/inside").mkdir(parents=True)
    for name, text in (("template.yaml", TEMPLATE), ("src/requirements.txt", "a\n"), ("src/deep/inside/app.py", code)):
        (folder / name).write_bytes((form[0] + text.replace("\n", form[1])).encode())
    return folder


@pytest.mark.parametrize(("head", "body"), [*product(HEADS, BODIES)])
def test_only_lines_are_added(head: str, body: str, tmp_path: Path) -> None:
    """The handler is traced, every line that was there still is, in its order, and a second run has nothing to do."""
    code = HEADS[head] + BODIES[body]
    root = written(tmp_path, code, FORMS["unix"])
    init(root, "--write")
    text = (root / "src/deep/inside/app.py").read_text()
    lines = iter(text.splitlines())
    if not head.startswith("ours"):
        assert all(line in lines for line in code.splitlines())
    assert text.startswith("#!") == (head == "shebang")
    assert ast.get_docstring(ast.parse(text)) == ast.get_docstring(ast.parse(code))
    assert [each for each in text.splitlines() if "@" in each or "handler = " in each] != []
    assert text.count("zespan_lambda") == 2 or "as traced" in head + text
    assert init(root).out == ""


@pytest.mark.parametrize(("form", "head"), [*product(FORMS, ["nothing", "docstring", "standard", "shebang"])])
def test_marks_of_windows_stay(form: str, head: str, tmp_path: Path) -> None:
    """Byte order mark and ends of lines are as before, in new lines too, and `patch` makes the same files."""
    mark, end = FORMS[form]
    root = written(tmp_path / "project", HEADS[head] + BODIES["plain"], FORMS[form])
    wanted = patched(root, init(root).out, tmp_path / "patched")
    init(root, "--write")
    found = contents(root)
    assert found == wanted
    for name, content in found.items():
        text = content.decode()
        assert text.startswith(mark)
        assert (text.count("\n"), text.count("\r")) == (text.count(end), text.count(end) * (end == "\r\n")), name
        assert "zespan" in text


def test_mixed_ends_of_lines_are_left_alone(tmp_path: Path) -> None:
    """The file is named, with what to type."""
    root = written(tmp_path, "import json\r\n\n\ndef handler(event, context):\n    return 'ok'\n", FORMS["unix"])
    ran = init(root)
    assert "app.py: its lines end in different ways. Put @zespan_lambda above handler" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("code", ["zespan_lambda = 1\ndef handler(event, context): ...\n", "def handler(: ...\n"])
def test_what_would_break_is_left_alone(code: str, tmp_path: Path) -> None:
    """A name that is taken, and code that Python cannot read."""
    root = written(tmp_path, code, FORMS["unix"])
    ran = init(root)
    assert "Put @zespan_lambda above" in ran.err
    assert ran.out == ""


BASIC = "AWSLambdaBasicExecutionRole"
YAML = {
    "tight items": (f"Policies:\n      - {BASIC}", f"Policies:\n      - {BASIC}\n      - SSMParameterReadPolicy:"),
    "deep items": (f"Policies:\n        - {BASIC}", f"Policies:\n        - {BASIC}\n        - SSMParameterReadPolicy:"),
    "empty items": ("Policies: []", "Policies: [{SSMParameterReadPolicy: {ParameterName: zespan/api-key}}]"),
    "one item": (f"Policies: {BASIC} # a", f"Policies: # a\n        - {BASIC}\n        - SSMParameterReadPolicy:"),
    "quoted": ('"Timeout": 3', '"Timeout": 30'),
    "number in quotes": ("Timeout: '3'", "Timeout: 30"),
    "expression": ("Timeout: !Ref T", "Timeout: !Ref T"),
    "empty variables": ("Environment:\n        Variables:", "Variables:\n          ZESPAN_API_KEY_SECRET: ssm:/zespan"),
    "braces": ("Environment: {Variables: {A: {Ref: B}}}", "{A: {Ref: B}, ZESPAN_API_KEY_SECRET: ssm:/zespan/api-key}}"),
    "text": ("Description: |\n        two\n\n        parts", "parts\n      Environment:\n        Variables:\n"),
    "comment": ("# Timeout: 3", "      Timeout: 30\n      # Timeout: 3\n"),
}


@pytest.mark.parametrize("name", YAML)
def test_a_template_keeps_its_style(name: str, tmp_path: Path) -> None:
    """Where a setting is written in its own way, the change is in that way."""
    before, after = YAML[name]
    root = written(tmp_path, BODIES["plain"], FORMS["unix"])
    file = root / "template.yaml"
    file.write_text(f"{TEMPLATE}      {before}\n")
    init(root, "--write")
    assert after in file.read_text()
    assert init(root).out == ""
