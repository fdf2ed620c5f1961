"""Terraform's files and plans, read into the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.model import UNKNOWN, Function, Project
from zespan_serverless_dev.doctor.readers import terraform

ROOT = Path(__file__).parents[4]

MAIN = """
resource "aws_lambda_function" "chat" {
  function_name = "chat"
  handler       = "app.handler"
  runtime       = "python3.13"
  timeout       = var.seconds
  memory_size   = local.memory
  filename      = data.archive_file.code.output_path
  role          = aws_iam_role.chat.arn
  layers        = [aws_lambda_layer_version.own.arn, module.zespan.layer_arn]

  environment {
    variables = merge(module.zespan.environment, {
      ZESPAN_ENVIRONMENT = "${var.stage}-live" # a comment
      ZESPAN_API_KEY     = var.key
    })
  }
}

data "archive_file" "code" {
  type       = "zip"
  source_dir = "${path.module}/src"
}

resource "aws_iam_role" "chat" {
  name = "chat"
}

resource "aws_iam_role_policy" "chat" {
  role = aws_iam_role.chat.id
  policy = jsonencode({
    Statement = [{ Effect = "Allow", Action = ["ssm:GetParameter"], Resource = "${aws_ssm_parameter.key.arn}" }]
  })
}

resource "aws_lambda_layer_version" "own" {
  layer_name          = "own"
  compatible_runtimes = ["python3.12"]
}

resource "aws_sqs_queue" "in" {
  visibility_timeout_seconds = 60
}

resource "aws_lambda_event_source_mapping" "in" {
  event_source_arn = aws_sqs_queue.in.arn
  function_name    = aws_lambda_function.chat.arn
}

resource "aws_cloudwatch_log_group" "chat" {
  name              = "/aws/lambda/chat"
  retention_in_days = 14
}
"""
VARIABLES = """
variable "seconds" { default = 20 }
variable "stage" { default = "test" }
variable "key" { sensitive = true }
locals { memory = 256 }
"""


def read(folder: Path, **files: str) -> Project:
    for name, text in files.items():
        (folder / f"{name}.tf").write_text(text)
    project = Project(folder)
    terraform.read(folder, project)
    return project


def one(folder: Path, **files: str) -> Function:
    (function,) = read(folder, **files).functions
    return function


def test_the_files_of_a_folder_are_one_module(tmp_path: Path) -> None:
    """Variables and locals of other files are resolved, and what other modules give is UNKNOWN."""
    (tmp_path / "src").mkdir()
    function = one(tmp_path, main=MAIN, variables=VARIABLES)
    assert (function.timeout_s, function.memory_mb, function.architecture) == (20, 256, "x86_64")
    assert (function.runtime, function.handler, function.code) == ("python3.13", "app.handler", tmp_path / "src")
    assert function.layers == ["own", UNKNOWN]
    assert {name: each.value for name, each in function.environment.items()} == {
        "ZESPAN_ENVIRONMENT": "test-live",
        "ZESPAN_API_KEY": UNKNOWN,
    }
    assert function.environment_is_partial
    assert function.actions == {"ssm:getparameter"}
    assert function.log_retention_days == 14
    (source,) = function.sources
    assert (source.kind, source.visibility_timeout_s, source.reports_batch_failures) == ("sqs", 60, False)


def test_the_code_of_an_archive_that_is_named_by_its_path(tmp_path: Path) -> None:
    """A function and the archive of its code may both name the zip, and the archive may have one file."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").touch()
    main = """
variable "zip" { default = "build/function.zip" }
data "archive_file" "code" {
  source_file = "${path.module}/src/app.py"
  output_path = var.zip
}
resource "aws_lambda_function" "f" {
  filename = var.zip
}
"""
    assert one(tmp_path, main=main).code == tmp_path / "src"


def test_a_file_of_values_precedes_defaults(tmp_path: Path) -> None:
    """terraform.tfvars replaces the defaults of variables, as Terraform itself has it."""
    (tmp_path / "terraform.tfvars").write_text("seconds = 45\n")
    assert one(tmp_path, main=MAIN, variables=VARIABLES).timeout_s == 45


def test_places_are_the_lines_in_the_file(tmp_path: Path) -> None:
    """Blocks, attributes and the keys of objects have their lines."""
    function = one(tmp_path, main=MAIN)
    lines = MAIN.splitlines()
    assert function.place.line == 2
    assert lines[(function.places["timeout_s"].line or 0) - 1].strip().startswith("timeout")
    queue = function.sources[0].queue
    assert queue is not None
    assert "visibility_timeout_seconds" in lines[(queue.line or 0) - 1]


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ("data.aws_iam_policy_document.doc.json", {"ssm:getparameter"}),
        ('<<EOF\n{"Statement": [{"Effect": "Allow", "Action": "kms:*"}]}\nEOF\n', {"kms:*"}),
        ('<<EOF\n{"Statement": [{"Action": "sqs:*", "Resource": "${aws_sqs_queue.q.arn}"}]}\nEOF\n', {"sqs:*"}),
        ('<<EOF\n{"Statement": [{"Effect": "Allow", "Action": "${var.service}:*"}]}\nEOF\n', UNKNOWN),
        ("file(var.policy)", UNKNOWN),
        ("jsonencode({Statement = concat(local.unknown, [])})", UNKNOWN),
    ],
)
def test_terraform_policies_become_allowed_actions(tmp_path: Path, policy: str, allowed: object) -> None:
    """Policies of a role are read in every form, or are UNKNOWN."""
    main = f"""
resource "aws_lambda_function" "f" {{
  role = aws_iam_role.r.arn
}}
resource "aws_iam_role" "r" {{}}
data "aws_iam_policy_document" "doc" {{
  statement {{
    actions = ["ssm:GetParameter"]
  }}
}}
resource "aws_iam_role_policy" "p" {{
  role = aws_iam_role.r.name
  policy = {policy}
}}
"""
    assert one(tmp_path, main=main).actions == allowed


def test_a_role_that_another_module_is_given_may_allow_anything(tmp_path: Path) -> None:
    """The module of deploy/aws_lambda/terraform adds to the roles that it is given."""
    call = 'module "zespan" {\n  functions = { chat = { role = aws_iam_role.chat.name } }\n}\n'
    assert one(tmp_path, main=MAIN + call).actions is UNKNOWN


@pytest.mark.parametrize("path", ['"./src"', '["./src"]', '[{ path = "src" }]', '"src/app.py"'])
def test_a_function_of_the_registrys_lambda_module(tmp_path: Path, path: str) -> None:
    """A call of the module is a function, whose code is named in any of the forms that the module takes."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").touch()
    main = f"""
module "chat" {{
  source                            = "terraform-aws-modules/lambda/aws"
  handler                           = "app.handler"
  source_path                       = {path}
  cloudwatch_logs_retention_in_days = 14
  environment_variables             = {{ ZESPAN_ENVIRONMENT = "test" }}
}}
"""
    function = one(tmp_path, main=main)
    assert (function.name, function.handler, function.code) == ("chat", "app.handler", tmp_path / "src")
    assert (function.log_retention_days, function.actions) == (14, UNKNOWN)
    assert function.environment["ZESPAN_ENVIRONMENT"].value == "test"


def test_a_plan_has_resolved_values(tmp_path: Path) -> None:
    """A plan in JSON is read with its modules, and references where values are not known yet."""
    variables = {"ZESPAN_ENVIRONMENT": "x", "ZESPAN_API_KEY": "zsp_..."}
    values = {"function_name": "chat", "timeout": 7, "environment": [{"variables": variables}]}
    role = {"type": "aws_iam_role", "name": "r", "values": {"name": "r"}}
    attached = {"type": "aws_iam_role_policy", "name": "p", "values": {"policy": '{"Statement": {"Action": "sqs:*"}}'}}
    sensitive = {"environment": [{"variables": {"ZESPAN_API_KEY": True}}]}
    function = {"type": "aws_lambda_function", "name": "f", "values": values, "sensitive_values": sensitive}

    def written(kind: str, name: str, **expressions: list[str]) -> object:
        references = {key: {"references": each} for key, each in expressions.items()}
        return {"type": kind, "name": name, "expressions": references}

    plan = {
        "planned_values": {"root_module": {"child_modules": [
            {"address": "module.app", "resources": [function, role, attached]}]}},
        "configuration": {"root_module": {"module_calls": {"app": {"module": {"resources": [
            written("aws_lambda_function", "f", role=["aws_iam_role.r.arn", "aws_iam_role.r"]),
            written("aws_iam_role_policy", "p", role=["aws_iam_role.r.id", "aws_iam_role.r"]),
        ]}}}}},
    }  # fmt: skip
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    found = one(tmp_path)
    assert (found.timeout_s, found.actions) == (7, {"sqs:*"})
    assert found.environment["ZESPAN_ENVIRONMENT"].value == "x"
    assert found.environment["ZESPAN_API_KEY"].value is UNKNOWN  # the plan has it in plain text, and says so


@pytest.mark.parametrize(
    ("more", "has_egress"),
    [
        ('resource "aws_vpc" "v" {}', False),
        ('resource "aws_vpc" "v" {}\nresource "aws_nat_gateway" "n" {}', True),
        ('resource "aws_vpc" "v" {}\nresource "aws_route" "r" {\n  nat_gateway_id = "nat-0123"\n}', True),
        ("", None),
        ('resource "aws_vpc" "v" {}\nmodule "network" {\n  source = "./network"\n}', None),
    ],
)
def test_ways_out_of_a_vpc(tmp_path: Path, more: str, has_egress: bool | None) -> None:
    """A function has none if its subnets and their VPC are in the module, no gateway is, and no other module."""
    main = """
resource "aws_lambda_function" "f" {
  vpc_config {
    subnet_ids = [aws_subnet.s[0].id]
  }
}
resource "aws_subnet" "s" {
  count  = 2
  vpc_id = aws_vpc.v.id
}
"""
    function = one(tmp_path, main=main + more)
    assert (function.in_vpc, function.has_egress) == (True, has_egress)


def test_cloud_run_services(tmp_path: Path) -> None:
    """A service is billed by instance if its CPU is never idle; a value in a block of `env` is read."""
    main = """
resource "google_cloud_run_v2_service" "chat" {
  template {
    timeout = "60s"
    containers {
      image = "x"
      resources {
        cpu_idle = false
      }
      env {
        name  = "ZESPAN_FLUSH_MODE"
        value = "after_response"
      }
    }
  }
}
"""
    function = one(tmp_path, main=main)
    assert (function.host, function.timeout_s, function.has_cpu_after_response) == ("google_cloud", 60, True)
    assert function.environment["ZESPAN_FLUSH_MODE"].value == "after_response"
    assert one(tmp_path, main=main.replace("false", "true")).has_cpu_after_response is False


@pytest.mark.parametrize("text", ['resource "x" {\n', "a = \n", "a = " + "[" * 3000 + "]" * 3000, "a\n=\0"])
def test_broken_files_are_skipped(tmp_path: Path, text: str) -> None:
    """A file that is no HCL is named, and the others are read."""
    project = read(tmp_path, broken=text, main=MAIN)
    assert [file.name for file, _ in project.skipped] == ["broken.tf"]
    assert [each.name for each in project.functions] == ["chat"]


def test_the_projects_own_module() -> None:
    """The module of deploy/ is read; it has a layer, and no function."""
    project = Project(ROOT)
    terraform.read(ROOT / "deploy/aws_lambda/terraform", project)
    assert not project.skipped
    assert list(project.layers) == ["telemetry"]
    assert len(project.read) == 3
