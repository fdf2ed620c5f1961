"""sam-template.yaml and the Terraform module, judged by the SAM CLI, by Terraform, and by what functions do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from zespan_serverless import ConfigurationError, settings
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=5)

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "sam-template.yaml"
TEXT = TEMPLATE.read_text()
TERRAFORM = ROOT / "deploy/aws_lambda/terraform"
PAGES = sorted((ROOT / "deploy").glob("*/README.md"))
SAM = Path(os.environ.get("ZESPAN_SAM", ROOT / ".venv-sam/bin/sam"))

# By name, the text of each function in the template.
FUNCTIONS = {
    name: block
    for name, block in re.findall(r"^  (\w+):\n((?:    .*\n)+)", TEXT, re.MULTILINE)
    if "Type: AWS::Serverless::Function" in block
}


def one(pattern: str, text: str) -> str:
    """Return what the pattern's group finds, once, in the text."""
    (found,) = re.findall(pattern, text)
    return str(found)


def validate(template: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SAM, "validate", "--lint", "--template-file", template],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(not SAM.exists(), reason="no SAM CLI: `make test` installs it in .venv-sam, or set ZESPAN_SAM")
def test_sam_finds_nothing_wrong(tmp_path: Path) -> None:
    """The template passes `sam validate --lint`, which does find a misspelt property."""
    good = validate(TEMPLATE)
    assert good.returncode == 0, good.stdout + good.stderr
    (misspelt := tmp_path / "template.yaml").write_text(TEXT.replace("MemorySize", "MemorySiz"))
    bad = validate(misspelt)
    assert bad.returncode != 0
    assert "MemorySiz" in bad.stdout + bad.stderr


def test_functions_are_those_of_the_examples() -> None:
    """Each is a folder with the handler; with a decorator and our package, or with the layer and neither."""
    module, function = one(r"Handler: (\S+)", TEXT).split(".")
    assert list(FUNCTIONS) == ["Assistant", "AssistantUnchanged", "Worker"]
    for name, block in FUNCTIONS.items():
        folder = ROOT / one(r"CodeUri: (\S+)", block)
        code = (folder / f"{module}.py").read_text()
        assert re.search(rf"^(async )?def {function}\(event", code, re.MULTILINE), name
        traced = "@zespan_lambda" in code, "/zespan_serverless-" in (folder / "requirements.txt").read_text()
        layered = "Layers: [!Ref Telemetry]" in block, "AWS_LAMBDA_EXEC_WRAPPER: /opt/zespan/wrapper" in block
        assert (traced, layered) in [((True, True), (False, False)), ((False, False), (True, True))], name


def test_keys_are_no_part_of_it() -> None:
    """Zespan's key is named, and every function may read that very parameter; OpenAI's is not shown."""
    values = dict(re.findall(r"(\w+_API_KEY\w*): (!Ref \w+|\S+)", TEXT))
    assert values == {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key", "OPENAI_API_KEY": "!Ref OpenAiApiKey"}
    assert "OpenAiApiKey:\n    Type: String\n    NoEcho: true\n" in TEXT
    assert one(r"Resource: !Sub \S+:parameter(\S+)", TEXT) == "/zespan/api-key"
    assert all("Policies: [!Ref ReadKey]" in block for block in FUNCTIONS.values())


def test_settings_are_settings() -> None:
    """Every ZESPAN_ variable in the template and in the Terraform module is a setting, with a value that it takes."""
    module = (TERRAFORM / "outputs.tf").read_text().replace("${var.api_key_parameter}", "/zespan/api-key")
    found = re.findall(r"ZESPAN_(\w+): ([^\s#]+)", TEXT) + re.findall(r'ZESPAN_(\w+) *= "(.*)"', module)
    assert len(found) == 3
    settings.check({name.lower(): value for name, value in found})
    with pytest.raises(ConfigurationError):
        settings.check({"api_key_secret": "/zespan/api-key"})


def test_commands_read_what_is_put_out() -> None:
    """The page asks for outputs that the template has."""
    outputs = re.findall(r"^  (\w+):\n", TEXT.split("\nOutputs:\n")[1], re.MULTILINE)
    asked = re.findall(r"\$\(output (\w+)\)", (ROOT / "deploy" / "aws_lambda" / "README.md").read_text())
    assert len(asked) == 3
    assert {*asked} <= {*outputs}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_use_variables_that_they_set(page: Path) -> None:
    """The commands of a deployment page, copied from its top on, never use an empty variable."""
    known = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}  # `aws configure export-credentials`
    for commands in page.read_text().split("```")[1::2]:
        if commands.startswith("\n"):  # no Dockerfile, nor another language
            for line in commands.splitlines():
                assert {*re.findall(r"\$(\w\w+)", line)} <= known, line
                known |= {*re.findall(r"(?:^|export |\s)([A-Z_]+)=", line), *re.findall(r"^for (\w+) in", line)}


def test_queue_waits_for_the_worker() -> None:
    """A message is hidden for at least six times the function's timeout, which is what AWS asks for."""
    assert int(one(r"VisibilityTimeout: (\d+)", TEXT)) >= 6 * int(one(r"  Timeout: (\d+)", TEXT))
    assert "FunctionResponseTypes: [ReportBatchItemFailures]" in FUNCTIONS["Worker"]


@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_alarm_rings_for_dropped_events(tmp_path: Path, log_format: str) -> None:
    """The phrase that the alarms wait for is in one line of the log of a function whose events are refused."""
    phrase = one("FilterPattern: '\"(.*)\"'", TEXT)
    assert one(r'pattern += "\\"(.*)\\""', (TERRAFORM / "main.tf").read_text()) == phrase
    code = "from zespan_serverless import zespan_lambda\n\n@zespan_lambda\ndef handler(event, context): return 'ok'\n"
    (tmp_path / "app.py").write_text(code)
    with Backend() as backend:
        env = {"ZESPAN_API_KEY": "old", "ZESPAN_BASE_URL": backend.url, "AWS_LAMBDA_LOG_FORMAT": log_format}
        with Sandbox("app.handler", tmp_path, env=env) as sandbox:
            assert sandbox.invoke().payload == "ok"
            assert phrase not in sandbox.log()
            backend.mode = 401
            assert sandbox.invoke().payload == "ok"
            assert sandbox.invoke().payload == "ok"
            log = sandbox.stop()
    (line,) = (line for line in log.splitlines() if phrase in line)
    assert line.startswith('{"timestamp"' if log_format == "JSON" else "[WARNING]")
    assert "#dropped-unauthorized)" in line
    assert log_format == "Text" or json.loads(line)["zespan_code"] == "dropped-unauthorized"


def test_functions_do_not_overwrite_each_other() -> None:
    """What the module makes for each function has the function in its name: two may share a role, or a log group."""
    resources = re.findall(
        r'^resource "\w+" "(\w+)" {\n(.*?)^}', (TERRAFORM / "main.tf").read_text(), re.MULTILINE | re.DOTALL
    )
    names = {label: one(r"(?m)^  name +=(.*)", text) for label, text in resources if "for_each" in text}
    assert names == {"read_key": ' "${var.name}-read-key-${each.key}"', "dropped": ' "${var.name}-dropped-${each.key}"'}


@pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform on the PATH")
def test_terraform_can_read_the_module(tmp_path: Path) -> None:
    """The module is in Terraform's own format, and loads, which takes no provider and does find mistakes."""
    folder = tmp_path / "module"
    shutil.copytree(TERRAFORM, folder, ignore=shutil.ignore_patterns(".terraform*"))

    def terraform(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["terraform", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)

    for command in (["fmt", "-check", "-diff"], ["providers"]):
        good = terraform(*command)
        assert good.returncode == 0, good.stdout + good.stderr
    with (folder / "outputs.tf").open("a") as file:
        file.write('output "layers" {\n  value = 1\n}\n')  # a second one of that name
    assert terraform("providers").returncode != 0
