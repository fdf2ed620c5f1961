"""What is typed becomes a plan, or an error that says what to type."""

from __future__ import annotations

import argparse
import io
import json
import re
from pathlib import Path

import pytest
from zespan_serverless_dev.commands.invoke import add_arguments
from zespan_serverless_dev.invoke.plan import Plan, Signal, Unusable, plan_of, seconds, shell
from zespan_serverless_dev.invoke.session import environment, journal_folders

from zespan_serverless.cli import main

ROOT = Path(__file__).parents[3]
FUNCTION = Path(__file__).parent / "function"
TEMPLATE = str(ROOT / "sam-template.yaml")


def plan(*typed: str) -> Plan:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return plan_of(parser.parse_args(typed))


def of_function(*typed: str) -> Plan:
    return plan("app.handler", "--code", str(FUNCTION), *typed)


def test_the_default_plan_is_one_call_with_an_empty_event() -> None:
    """Without options it is one call with an empty event, with Lambda's usual limits."""
    made = of_function()
    assert (made.calls, made.timeout, made.memory, made.next_event()) == (1, 30, 512, b"{}")
    assert (made.fault, made.kill, made.sigterm, made.dev, made.name) == (None, None, None, None, "function")


def test_each_option_is_in_the_plan() -> None:
    """Each option is in the plan."""
    made = of_function(
        *("-n", "5", "--idle", "2s", "--timeout", "3s", "--memory", "1769", "--env", "A=b=c", "--env", "D="),
        *("--fault", "429", "--kill", "after=500ms", "--sigterm", "--model", "--dev", "--stay"),
    )
    assert (made.calls, made.idle, made.timeout, made.memory) == (5, 2.0, 3, 1769)
    assert made.given == {"A": "b=c", "D": ""}
    assert (made.fault, made.kill, made.sigterm) == ("429", Signal(0.5), Signal(None))
    assert (made.model, made.dev, made.stays) == (True, "", True)


@pytest.mark.parametrize(
    ("text", "found"), [("2s", 2.0), ("500ms", 0.5), ("1.5m", 90.0), ("3", 3.0), (" 0s ", 0.0)], ids=str
)
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, found: float) -> None:
    """A duration has a unit, or is in seconds."""
    assert seconds(text, "--idle 2s") == found


def test_event_may_come_from_a_file_the_line_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is JSON, wherever it is from; the plan has its name."""
    (file := tmp_path / "event.json").write_text('{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 3}'))
    read = {made.event: json.loads(made.next_event()) for made in map(of_function, [str(file), '{"a": 2}', "-"])}
    assert read == {"event.json": {"a": 1}, "event": {"a": 2}, "standard input": {"a": 3}}


def test_sample_is_around_the_payload() -> None:
    """With --event the event that is given is the payload, and each call has a new event."""
    made = of_function('{"text": "Hi"}', "--event", "sqs")
    first, second = (json.loads(made.next_event())["Records"][0] for _ in range(2))
    assert json.loads(first["body"]) == {"text": "Hi"}
    assert first["messageId"] != second["messageId"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ([], r"--template template.yaml"),
        (["handler"], r"MODULE.FUNCTION"),
        (["missing.handler"], r"no module missing: type --code"),
        (["app.handler", "--code", "/nowhere"], r"/nowhere is not a folder"),
        (["app.handler", "missing.json"], r"missing.json cannot be read: .*Type a file of JSON, or -"),
        (["app.handler", "{"], r"the event is not JSON"),
        (["app.py"], r"'app.py' is a file: type MODULE.FUNCTION, such as app.handler"),
        (["app.handler", "--event", "queue"], r"there is no event 'queue': type one of apigw-v2"),
        (["app.handler", "-n", "0"], r"-n '0': type a whole number from 1"),
        (["app.handler", "--idle", "soon"], r"'soon' is not a duration: type it as in --idle 2s"),
        (["app.handler", "--timeout", "901"], r"--timeout '901': type a whole number from 1 to 900"),
        (["app.handler", "--memory", "64"], r"from 128 to 10240"),
        (["app.handler", "--env", "NAME"], r"--env 'NAME': type NAME=VALUE"),
        (["app.handler", "--kill", "1s"], r"--kill '1s': type --kill after=1s, or --kill alone"),
        (["app.handler", "--function", "Chat"], r"add --template"),
        (["--template", "missing.yaml"], r"missing.yaml"),
        (["--template", TEMPLATE], r"has several functions: name one of Assistant, AssistantUnchanged, Worker"),
        (["app.handler", "--stay"], r"add --dev"),
        (["app.handler", "--dev", "ftp://x"], r"use the URL that `zespan-serverless dev` has printed"),
        (
            ["app.handler", "--dev", "http://127.0.0.1:9"],
            r"no `dev` answers at http://127.0.0.1:9: start zespan-serverless dev",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_says_what_to_type(
    typed: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with 2, and the message has what to type instead."""
    monkeypatch.chdir(FUNCTION)
    assert main(["invoke", *typed]) == 2
    assert re.search(says, capsys.readouterr().err)


def test_template_has_what_the_function_needs() -> None:
    """A template gives handler, folder, limits, variables; the event may be the only argument."""
    made = plan("--template", TEMPLATE, "--function", "AssistantUnchanged", '{"prompt": "Hi"}', "--event", "apigw-v2")
    assert (made.handler, made.code) == ("app.handler", ROOT / "examples" / "aws_lambda" / "unchanged")
    assert (made.timeout, made.memory, made.name) == (30, 512, "AssistantUnchanged")
    assert made.env["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/zespan/wrapper"
    assert json.loads(json.loads(made.next_event())["body"]) == {"prompt": "Hi"}
    assert plan("--template", TEMPLATE, "--function", "Worker", "--memory", "256").memory == 256


def test_template_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables without a value here, and layers that are not here, are named in notes."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    missing = [*plan("--template", TEMPLATE, "--function", "AssistantUnchanged").notes]
    assert any("type --env OPENAI_API_KEY=..." in note for note in missing)
    assert any("the layer Telemetry is not built" in note for note in missing)
    for given in (["--model"], ["--env", "OPENAI_API_KEY=sk-1"]):
        assert not any("OPENAI" in note for note in plan("--template", TEMPLATE, "--function", "Worker", *given).notes)


def test_layer_folders_are_searched(tmp_path: Path) -> None:
    """A layer that is a folder with python/ is on the function's path."""
    for folder in ("src", "shared/python"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "template.yaml").write_text(
        """
        Transform: AWS::Serverless-2016-10-31
        Resources:
          Shared:
            Type: AWS::Serverless::LayerVersion
            Properties: {ContentUri: shared/}
          Chat:
            Type: AWS::Serverless::Function
            Properties: {Handler: app.handler, CodeUri: src/, Layers: [!Ref Shared]}
        """
    )
    made = plan("--template", str(tmp_path / "template.yaml"))
    assert made.layers == [tmp_path / "shared" / "python"]
    assert (made.timeout, made.memory) == (3, 128)


def test_environment_has_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """--env counts most, then what leads the telemetry here, then the template, then this shell."""
    monkeypatch.setenv("FROM_SHELL", "shell")
    monkeypatch.setenv("ZESPAN_BASE_URL", "https://production")
    monkeypatch.setenv("ZESPAN_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("NO_PROXY", "internal")
    made = Plan("app.handler", FUNCTION, env={"FROM_SHELL": "template", "ZESPAN_API_KEY": "zsp_live"}, given={"A": "1"})
    env = environment(made, "http://127.0.0.1:1", None)
    assert (env["FROM_SHELL"], env["A"], env["AWS_LAMBDA_FUNCTION_NAME"]) == ("template", "1", "function")
    assert (env["ZESPAN_BASE_URL"], env["ZESPAN_API_KEY"]) == ("http://127.0.0.1:1", "zsp_local")
    assert (env["ZESPAN_ENABLED"], env["NO_PROXY"]) == ("1", "internal,127.0.0.1,localhost")
    assert "PYTHONPATH" not in env
    own = Plan("app.handler", FUNCTION, given={"ZESPAN_BASE_URL": "http://mine", "ZESPAN_JOURNAL": "/mnt/journal"})
    env = environment(own, "http://127.0.0.1:1", "http://127.0.0.1:2/v1")
    assert (env["ZESPAN_BASE_URL"], env["OPENAI_BASE_URL"]) == ("http://mine", "http://127.0.0.1:2/v1")
    assert journal_folders(env) == [Path("/mnt/journal")]
    assert "TMPDIR" not in shell()


def test_unusable_is_no_bare_value_error() -> None:
    """The error that a user sees is one of the plan's own."""
    with pytest.raises(Unusable, match="500ms"):
        seconds("-1s", "--idle 2s")
