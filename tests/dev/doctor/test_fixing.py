"""`--fix` and `--diff` change what can be shown as a diff, and nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.findings import Edit
from zespan_serverless_dev.doctor.fixing import Unchanged, _without_keys, applied, changed, write
from zespan_serverless_dev.doctor.model import Place
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

from tests.dev.doctor.command import doctor
from tests.dev.doctor.pages import FOLDER, files_of
from tests.dev.doctor.pages import write as write_files

PAGES = sorted([*FOLDER.glob("*.md"), *(Path(__file__).parent / "projects").rglob("*.md")])

TEMPLATE = """\
Resources:
  # The worker.
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      Timeout: 30
      MemorySize: 512
      Environment:
        Variables:
          ZESPAN_API_KEY: !Ref Key
          ZESPAN_STORE_PROMPT: "0" # not to be sent
      LoggingConfig: {LogGroup: !Ref Logs}
      Events:
        Message: # from the queue
          Type: SQS
          Properties:
            Queue: !GetAtt Queue.Arn # ours
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60 # a minute
  Logs:
    Type: AWS::Logs::LogGroup
"""
FIXED = (
    TEMPLATE.replace("STORE_PROMPT:", "STORE_PROMPTS:")
    .replace(
        "          Properties:\n",
        "          Properties:\n            FunctionResponseTypes: [ReportBatchItemFailures]\n",
    )
    .replace("60 # a minute", "180 # a minute")
    .replace("LogGroup\n", "LogGroup\n    Properties:\n      RetentionInDays: 30\n")
)

MAIN = """\
resource "aws_lambda_function" "worker" {
  handler = "app.handler"
  runtime = "python3.13"
  timeout = 30
  memory_size = 512
  environment {
    variables = { ZESPAN_API_KEY = var.key, ZESPAN_STORE_PROMPTS = "0" }
  }
}
resource "aws_sqs_queue" "in" {
  # hides for 30 s
}
resource "aws_lambda_event_source_mapping" "in" {
  event_source_arn = aws_sqs_queue.in.arn
  function_name = aws_lambda_function.worker.arn
}
resource "aws_cloudwatch_log_group" "worker" {
  name = "/aws/lambda/${aws_lambda_function.worker.function_name}"
}
"""

SERVERLESS = """\
service: chat
provider: {name: aws, runtime: python3.13, logRetentionInDays: 30}
functions:
  worker:
    handler: app.handler
    timeout: 30
    environment: {ZESPAN_API_KEY: "${env:KEY}", ZESPAN_STORE_PROMPTS: "0"}
    events:
      - sqs:
          arn: !GetAtt Queue.Arn # ours
resources:
  Resources:
    Queue:
      Type: AWS::SQS::Queue
"""


def test_fix_edits_lines_and_keeps_the_rest(tmp_path: Path) -> None:
    """A name, a response type, a visibility timeout and a retention are set; comments and order stay."""
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    file.chmod(0o640)
    ran = doctor("--fix", tmp_path)
    assert file.read_text() == FIXED
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "no findings" in ran.out
    assert "+      VisibilityTimeout: 180 # a minute" in ran.err
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("name", "text"), [("main.tf", MAIN), ("serverless.yml", SERVERLESS)])
def test_fix_in_other_formats(tmp_path: Path, name: str, text: str) -> None:
    """After --fix a project of Terraform or of the Serverless Framework has no findings, and a second one no edits."""
    file = tmp_path / name
    file.write_text(text)
    before = doctor(tmp_path)
    assert "ZS210" in before.out
    assert "ZS211" in before.out
    assert "no findings" in doctor("--fix", tmp_path).out
    assert "180" in file.read_text()
    assert doctor("--fix", tmp_path).err == ""


def test_diff_changes_nothing(tmp_path: Path) -> None:
    """--diff prints what --fix would do, and exits with 1 while there is something to do."""
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    ran = doctor("--diff", tmp_path)
    assert ran.code == 1
    assert "-      VisibilityTimeout: 60 # a minute\n+      VisibilityTimeout: 180 # a minute" in ran.out
    assert file.read_text() == TEMPLATE
    file.write_text(FIXED)
    assert (doctor("--diff", tmp_path).code, doctor("--diff", tmp_path).out) == (0, "nothing that --fix would change\n")


KEY = "zsp_live_5up3rs3cr3t9"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", f"ZESPAN_APIKEY={KEY}\nOPENAI_API_KEY='{KEY}'\n"),
        (
            ".env",
            f"DATABASE_URL=postgres://user:{KEY}@host/db\nZESPAN_SERVICENAME=a\nexport SENTRY_DSN = https://{KEY}@host/1\n",
        ),
        ("Dockerfile", f"FROM python\nENV ZESPAN_HEADER a={KEY}\nENV OPENAI_API_KEY {KEY}\nENV ZESPAN_SERVICENAME=a\n"),
        (
            "template.yaml",
            "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n"
            f'        Variables:\n          ZESPAN_APIKEY: "{KEY}"\n          SLACK_TOKEN: {KEY}\n',
        ),
    ],
)
def test_no_diff_has_a_key(name: str, text: str, tmp_path: Path) -> None:
    """Neither the lines that change, nor those around them; the file gets its own."""
    (tmp_path / name).write_text(text)
    shown = doctor("--diff", tmp_path).out
    assert "+++" in shown
    assert "***" in shown
    assert KEY not in shown
    assert KEY not in doctor("--fix", tmp_path).err
    assert (tmp_path / name).read_text().count(KEY) == text.count(KEY)


def test_a_diff_shows_the_name_below_one_of_a_key(tmp_path: Path) -> None:
    """What stands on the next line is a value only behind a colon, an equals sign or the word value."""
    (tmp_path / "template.yaml").write_text(
        "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n"
        "        Variables:\n          ZESPAN_APIKEY: !Ref ZespanKey\n          ZESPAN_ENVIRONMENT: staging\n"
    )
    shown = doctor("--diff", tmp_path).out
    assert "+          ZESPAN_API_KEY: !Ref ZespanKey\n           ZESPAN_ENVIRONMENT: staging\n" in shown


@pytest.mark.parametrize("text", [f"- name: A_KEY\n  value: {KEY}\n", f'{{"Name": "A_KEY", "Value": "{KEY}"}}'])
def test_a_key_beside_its_name_is_one(text: str) -> None:
    """As Kubernetes and CloudFormation write the variables of a container."""
    assert KEY not in "".join(_without_keys([text], text))


def test_ends_of_lines_stay(tmp_path: Path) -> None:
    """A file from Windows keeps its ends of lines, also in the lines that are added."""
    file = tmp_path / "template.yaml"
    file.write_bytes(TEMPLATE.replace("\n", "\r\n").encode())
    doctor("--fix", tmp_path)
    assert file.read_bytes() == FIXED.replace("\n", "\r\n").encode()


def test_what_is_not_written_line_by_line_is_left_alone(tmp_path: Path) -> None:
    """Two settings in one line, and values that are expressions, are reported and not edited."""
    file = tmp_path / "template.yaml"
    text = TEMPLATE.replace(
        "    Properties:\n      VisibilityTimeout: 60 # a minute", "    Properties: {VisibilityTimeout: 60}"
    )
    file.write_text(text)
    ran = doctor("--fix", tmp_path)
    assert "Properties: {VisibilityTimeout: 60}" in file.read_text()
    assert "ZS210" in ran.out


def test_an_ignored_finding_is_not_fixed(tmp_path: Path) -> None:
    """A comment that leaves a finding out keeps its line as it is."""
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("60 # a minute", "60 # zespan: ignore ZS210"))
    doctor("--fix", tmp_path)
    assert "VisibilityTimeout: 60 # zespan" in file.read_text()


def test_an_edit_that_makes_a_file_unreadable_is_undone(tmp_path: Path) -> None:
    """The file has its own text again, and the reason is said."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    findings = diagnose(read(tmp_path), selected([], [])).findings
    (told,) = applied(findings, lambda file: file.read_text() == TEMPLATE)
    assert told.endswith("template.yaml stays as it was: the edit would make it unreadable")
    assert (tmp_path / "template.yaml").read_text() == TEMPLATE


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The reason is said, and nothing is left behind."""
    with pytest.raises(Unchanged, match=r"template\.yaml cannot be changed: No such file or directory"):
        write(tmp_path / "gone" / "template.yaml", TEMPLATE)
    assert list(tmp_path.iterdir()) == []


def test_overlapping_edits_wait() -> None:
    """Of two edits of a line one is made; numbers of lines hold for the text as it was."""
    place = Place(Path("x"), 2)
    edits = [
        Edit(place, 2, 2, ("B", "b")),
        Edit(place, 2, 2, ("C",)),
        Edit(place, 1, 1, ("A",)),
        Edit(place, 9, 9, ("-",)),
    ]
    assert changed("a\nb\nc", edits) == "A\nB\nb\nc"


def test_a_file_with_other_breaks_is_left_alone() -> None:
    """Where readers count lines differently no line is replaced."""
    text = "a: \u2028\nLogs:\n"
    assert changed(text, [Edit(Place(Path("x"), 3), 3, 3, ("Log:",))]) == text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_is_fixed_is_found_no_more(path: Path, tmp_path: Path) -> None:
    """After --fix no finding offers an edit, the files can be read, and no other finding has come."""
    text = path.read_text()
    root = write_files(files_of(text.partition("\n## Right\n")[0]), tmp_path)
    before = diagnose(read(root), selected([], []))
    doctor("--fix", root)
    after = diagnose(read(root), selected([], []))
    assert not [finding for finding in after.findings if finding.edit]
    assert after.project.skipped == before.project.skipped
    known = {(one.rule.id, one.message) for one in before.findings}
    assert {(one.rule.id, one.message) for one in after.findings} <= known
