"""No file makes a reader fail, and nothing that has been read a rule."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zespan_serverless_dev.doctor.model import UNKNOWN
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.reports import REPORTS
from zespan_serverless_dev.doctor.rules import rules
from zespan_serverless_dev.doctor.run import diagnose

from tests.dev.doctor.readers import test_cloudformation, test_serverless, test_terraform

ROOT = Path(__file__).parents[4]

FILES = {
    "template.yaml": test_cloudformation.SMALL,
    "sam.yaml": test_cloudformation.TEMPLATE.read_text(),
    "forwarder.yaml": (ROOT / "deploy/aws_lambda/forwarder/template.yaml").read_text(),
    "serverless.yml": test_serverless.TEXT,
    "main.tf": test_terraform.MAIN,
    "calls.tf": 'module "f" {\n  source = "terraform-aws-modules/lambda/aws"\n  source_path = [{ path = "a" }]\n}\n',
    "template.json": '{"Resources": {"Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Ref": "A"}}}}}',
    "plan.json": '{"planned_values": {"root_module": {"resources": [{"type": "aws_lambda_function", "values": {}}]}}}',
    "host.json": (ROOT / "examples/azure_functions/chat/host.json").read_text(),
    "vercel.json": (ROOT / "examples/vercel/vercel.json").read_text(),
    "wrangler.toml": 'main = "a.py"\n[vars]\nZESPAN_EXPORTER = "otlp"\n',
    "wrangler.jsonc": '{"main": "a.py", "vars": {"A": "b"}, // c\n}',
    "Dockerfile": (ROOT / "deploy/aws_lambda/Dockerfile").read_text(),
    "service.yaml": "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {spec: {containers: []}}}",
}
PIECES = [*'"\t}\0é', "", "[]", "{}", "null", "1", "[x]", "{a: b}", "!Ref A", "!Sub", "- ", ": ", "${", "<<: x"]


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, str]:
    """Return a file's name, and its text with up to four tokens replaced, doubled or taken away."""
    name = draw(st.sampled_from(sorted(FILES)))
    text = FILES[name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = text[:start] + draw(st.sampled_from([*PIECES, text[start:end] * 2])) + text[end:]
    return name, text


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(mutations())
def test_mutated_files_are_read_or_skipped(tmp_path: Path, mutation: tuple[str, str]) -> None:
    """Whatever a file has become, the readers read it, leave it, or say why they skip it, and all rules are applied."""
    name, text = mutation
    for each in tmp_path.iterdir():
        each.unlink()
    (tmp_path / "a.py").write_text("from zespan_serverless import init\n\ninit()\n")
    (tmp_path / "function_app.py").touch()
    (tmp_path / name).write_bytes(text.encode())
    project = read(tmp_path)
    assert all(reason for _, reason in project.skipped)
    diagnose(project, rules().values())


WRONG = ["[]", "{}", "null", '"x"', "1", "true", "[[]]", "[{}]", '{"Ref": []}', '{"Fn::Sub": {}}']
PROPERTIES = "Handler Runtime Timeout Architectures Environment Layers Role Policies Events VpcConfig SnapStart CodeUri"


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("level", ["Resources", "Fn", "Properties", "each"])
def test_a_value_of_the_wrong_type_is_not_followed(tmp_path: Path, level: str, value: str) -> None:
    """Anything may be anywhere in a template: what is not understood is as if it were not there."""
    each = ", ".join(f'"{name}": {value}' for name in PROPERTIES.split())
    properties = value if level == "Properties" else f"{{{each}}}"
    function = value if level == "Fn" else f'{{"Type": "AWS::Serverless::Function", "Properties": {properties}}}'
    queue = f'{{"Type": "AWS::SQS::Queue", "Properties": {properties}}}'
    resources = value if level == "Resources" else f'{{"Fn": {function}, "Queue": {queue}}}'
    (tmp_path / "template.json").write_text(f'{{"Globals": {{"Function": {value}}}, "Resources": {resources}}}')
    project = read(tmp_path)
    assert not project.skipped
    diagnose(project, rules().values())


@pytest.mark.parametrize("text", ["\\u0000.handler", "x" * 5000, "../" * 50 + ".x", "\\ud800.x", "/.", ".", "a..b"])
@pytest.mark.parametrize("code", ["the same", "."])
def test_texts_that_are_no_names(tmp_path: Path, text: str, code: str) -> None:
    """A text where a name or a path is expected may have any characters, and any length."""
    each = ", ".join(f'"{name}": "{text}"' for name in PROPERTIES.split())
    each += f', "CodeUri": "{code}"' if code == "." else ""
    function = f'{{"Type": "AWS::Serverless::Function", "Properties": {{{each}}}}}'
    variables = f'{{"Variables": {{"ZESPAN_API_KEY_SECRET": "{text}", "{text}": "{text}"}}}}'
    function = function.replace(f'"Environment": "{text}"', f'"Environment": {variables}')
    (tmp_path / "template.json").write_text(f'{{"Resources": {{"{text}": {function}}}}}')
    (tmp_path / "wrangler.json").write_text(f'{{"main": "{text}", "compatibility_flags": ["python_workers"]}}')
    (tmp_path / "vercel.json").write_text(f'{{"functions": {{"{text}": {{}}}}}}')
    (tmp_path / "a.py").write_text("from zespan_serverless import zespan_lambda\n")
    project = read(tmp_path)
    assert project.functions
    for report in REPORTS.values():
        assert report(diagnose(project, rules().values())).encode()


def test_a_file_that_cannot_be_opened_is_skipped(tmp_path: Path) -> None:
    """A link to nowhere, a folder with a file's name, and bytes that are no text are no reason to stop."""
    (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "template.yml").mkdir()
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\xfd AWS::")
    os.mkfifo(tmp_path / "c.yaml")
    project = read(tmp_path)
    assert {file.name for file, _ in project.skipped} == {"a.yaml", "b.json", "c.yaml"}


def test_files_of_tests_are_left_out(tmp_path: Path) -> None:
    """A template below a folder `tests` is not deployed, unless it is what was asked for."""
    folder = tmp_path / "tests" / "data"
    folder.mkdir(parents=True)
    (folder / "template.yaml").write_text(test_cloudformation.SMALL)
    assert read(tmp_path).functions == []
    assert len(read(folder).functions) == 1


def _template(handler: str) -> str:
    return f"Resources: {{Fn: {{Type: AWS::Lambda::Function, Properties: {{Handler: {handler}}}}}}}"


def _nested() -> str:
    """Forty levels of Sub, each of which has the one below nine times."""
    text = "x"
    for _ in range(40):
        text = f"!Sub ['{'${a}' * 9}', {{a: {text}}}]"
    return text


def _locals() -> str:
    """Forty texts and lists, each of which has the next one nine times."""
    texts = [f'a{n} = "{f"${{local.a{n + 1}}}" * 9}"' for n in range(40)]
    lists = [f"b{n} = [{f'local.b{n + 1}, ' * 9}]" for n in range(40)]
    values = "\n  ".join([*texts, 'a40 = "x"', *lists, 'b40 = "x"'])
    function = "handler = local.a0\n  layers = local.b0"
    return f'locals {{\n  {values}\n}}\nresource "aws_lambda_function" "f" {{\n  {function}\n}}\n'


GROWING = {
    "nested.yaml": _template(_nested()),
    "joined.yaml": _template(f"!Join [{'-' * 50_000}, [{', '.join('x' * 50_000)}]]"),
    "main.tf": _locals(),
}


@pytest.mark.parametrize("name", GROWING)
def test_expressions_that_grow_are_not_followed(tmp_path: Path, name: str) -> None:
    """What would make texts of terabytes, or take years, is unknown."""
    (tmp_path / name).write_text(GROWING[name])
    (function,) = read(tmp_path).functions
    assert function.handler is UNKNOWN


@pytest.mark.parametrize("text", ["/*" * 500_000, '"' * 500_001, "," * 500_000])
def test_comments_that_do_not_end(tmp_path: Path, text: str) -> None:
    """Looking for comments in JSON takes no longer because none of them ends."""
    (tmp_path / "wrangler.jsonc").write_text(text)
    assert [file.name for file, _ in read(tmp_path).skipped] == ["wrangler.jsonc"]
