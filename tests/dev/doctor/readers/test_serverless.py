"""serverless.yml, read into the model."""

from __future__ import annotations

from pathlib import Path

from zespan_serverless_dev.doctor.model import UNKNOWN, Project
from zespan_serverless_dev.doctor.readers import serverless

TEXT = """
service: chat
custom:
  seconds: 20
provider:
  name: aws
  runtime: python3.13
  memorySize: 512
  environment:
    ZESPAN_ENVIRONMENT: ${sls:stage}
    ZESPAN_API_KEY_SECRET: ssm:/zespan/key
  iam:
    role:
      statements:
        - Effect: Allow
          Action: ssm:GetParameter
          Resource: "*"
functions:
  ask:
    handler: src/app.handler
    timeout: ${self:custom.seconds}
    layers:
      - !Ref TelemetryLambdaLayer
    events:
      - httpApi: POST /ask
      - sqs:
          arn: !GetAtt Queue.Arn
          functionResponseType: ReportBatchItemFailures
  other:
    handler: app.other
    environment: ${file(env.yml)}
    role: arn:aws:iam::123456789012:role/there
layers:
  telemetry:
    path: layer
    compatibleRuntimes: [python3.12]
resources:
  Resources:
    Queue:
      Type: AWS::SQS::Queue
      Properties:
        VisibilityTimeout: 90
"""


def read(folder: Path, text: str) -> Project:
    (folder / "serverless.yml").write_text(text)
    project = Project(folder)
    serverless.read(folder, project)
    return project


def test_functions_with_what_the_provider_shares(tmp_path: Path) -> None:
    """A function has the provider's settings, its own, and the framework's defaults."""
    project = read(tmp_path, TEXT)
    ask, other = project.functions
    assert (ask.name, ask.handler, ask.runtime) == ("ask", "src/app.handler", "python3.13")
    assert (ask.timeout_s, ask.memory_mb) == (20, 512)
    assert ask.environment["ZESPAN_ENVIRONMENT"].value is UNKNOWN
    assert ask.environment["ZESPAN_API_KEY_SECRET"].value == "ssm:/zespan/key"
    assert ask.actions == {"ssm:getparameter"}
    assert ask.layers == ["TelemetryLambdaLayer"]
    assert project.layers["TelemetryLambdaLayer"].runtimes == ("python3.12",)
    queue = ask.sources[1]
    assert (queue.kind, queue.visibility_timeout_s, queue.reports_batch_failures) == ("sqs", 90, True)
    assert (other.timeout_s, other.actions, other.environment_is_partial) == (6, UNKNOWN, True)
    assert "ZESPAN_API_KEY_SECRET" in other.environment


def test_places_are_the_lines_in_the_file(tmp_path: Path) -> None:
    """Functions, properties, events and queues have the lines that they are written on."""
    ask, _ = read(tmp_path, TEXT).functions
    lines = ["", *TEXT.splitlines()]
    assert lines[ask.place.line or 0] == "  ask:"
    assert lines[ask.places["timeout_s"].line or 0] == "    timeout: ${self:custom.seconds}"
    assert lines[ask.sources[1].place.line or 0] == "      - sqs:"
    assert lines[(ask.sources[1].queue or ask.place).line or 0] == "        VisibilityTimeout: 90"


def test_other_clouds_are_left_alone(tmp_path: Path) -> None:
    """A service for another cloud has no function of Lambda."""
    project = read(tmp_path, TEXT.replace("name: aws", "name: azure"))
    assert (project.functions, project.read) == ([], [])


def test_functions_of_other_files_are_not_known(tmp_path: Path) -> None:
    """`functions` may be a sequence, of which some parts are in other files."""
    text = "service: x\nprovider: {name: aws}\nfunctions:\n  - ${file(a.yml)}\n  - ask: {handler: app.handler}\n"
    assert [each.name for each in read(tmp_path, text).functions] == ["ask"]
    assert read(tmp_path, text.replace("\n  - ${file(a.yml)}", " ${file(a.yml)}").split("  - ask")[0]).functions == []
