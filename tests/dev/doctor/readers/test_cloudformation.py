"""Templates of SAM, CloudFormation and CDK, read into the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.model import UNKNOWN, Function, Project
from zespan_serverless_dev.doctor.readers import cloudformation, sam
from zespan_serverless_dev.doctor.readers import read as read_all
from zespan_serverless_dev.doctor.run import diagnose, selected

ROOT = Path(__file__).parents[4]
TEMPLATE = ROOT / "sam-template.yaml"

SMALL = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Seconds: {Type: Number, Default: 20}
  Key: {Type: String, NoEcho: true, Default: none}
Mappings:
  Sizes:
    us-east-1: {memory: 512}
Globals:
  Function:
    Runtime: python3.13
    Timeout: !Ref Seconds
    Layers: [arn:aws:lambda:us-east-1:1:layer:shared:3]
    Environment:
      Variables: {ZESPAN_ENVIRONMENT: test, DEBUG: true}
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: the-chat
      Handler: app.handler
      CodeUri: src/
      MemorySize: !FindInMap [Sizes, !Ref AWS::Region, memory]
      Layers: [!Ref Own, !Ref Elsewhere]
      Environment:
        Variables:
          ZESPAN_ENVIRONMENT: !Sub ${AWS::Region}-live
          ZESPAN_API_KEY: !Ref Key
          ZESPAN_SERVICE_NAME: !If [IsLive, a, b]
          GONE: !Ref AWS::NoValue
"""


def read(folder: Path, text: str, name: str = "template.yaml") -> Project:
    (folder / name).write_text(text)
    project = Project(folder)
    cloudformation.read(folder, project)
    return project


def one(folder: Path, properties: str, resources: str = "") -> Function:
    """Return the function with these properties, beside other resources; both are in YAML's flow style."""
    text = f"Resources:\n  Fn: {{Type: AWS::Serverless::Function, Properties: {properties}}}\n{resources}"
    (function,) = read(folder, text).functions
    return function


def test_globals_parameters_and_functions_are_resolved(tmp_path: Path) -> None:
    """Globals are merged as SAM merges them, and what only the deployment knows is UNKNOWN."""
    (tmp_path / "src").mkdir()
    (function,) = read(tmp_path, SMALL + "  Own: {Type: AWS::Serverless::LayerVersion}\n").functions
    assert (function.runtime, function.timeout_s, function.memory_mb) == ("python3.13", 20, 512)
    assert function.code == tmp_path / "src"
    assert function.layers == ["arn:aws:lambda:us-east-1:1:layer:shared:3", "Own", UNKNOWN]
    assert {name: each.value for name, each in function.environment.items()} == {
        "ZESPAN_ENVIRONMENT": "us-east-1-live",
        "DEBUG": "true",
        "ZESPAN_API_KEY": UNKNOWN,
        "ZESPAN_SERVICE_NAME": UNKNOWN,
    }


def test_places_are_the_lines_in_the_file(tmp_path: Path) -> None:
    """A property's place is the line that has it, in Globals or in the function."""
    (function,) = read(tmp_path, SMALL).functions
    lines = SMALL.splitlines()
    assert function.place.line == lines.index("  Chat:") + 1
    assert function.places["timeout_s"].line == lines.index("    Timeout: !Ref Seconds") + 1
    assert "ZESPAN_API_KEY" in lines[(function.environment["ZESPAN_API_KEY"].place.line or 0) - 1]


def test_the_same_in_json_has_lines_too(tmp_path: Path) -> None:
    """A JSON template with tabs is read with its lines."""
    text = '{"Resources": {\n\t"Fn": {\n\t"Type": "AWS::Lambda::Function", "Properties": {\n\t"Timeout": 9}}}}'
    (function,) = read(tmp_path, text, "template.json").functions
    assert (function.timeout_s, function.place.line, function.places["timeout_s"].line) == (9, 2, 4)


def test_defaults_are_lambdas(tmp_path: Path) -> None:
    """What a template leaves out is what Lambda takes then."""
    function = one(tmp_path, "{Handler: app.handler}")
    assert (function.timeout_s, function.memory_mb, function.architecture) == (3, 128, "x86_64")
    assert "timeout_s" not in function.places


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ("[AWSLambdaBasicExecutionRole]", set()),
        ("[{SSMParameterReadPolicy: {ParameterName: key}}]", {"ssm:getparameter", "ssm:getparameters"}),
        ("[{Statement: [{Effect: Allow, Action: 'ssm:Get*', Resource: '*'}]}]", {"ssm:get*"}),
        ("{Statement: {Action: [kms:Decrypt, ssm:GetParameter], Effect: Allow}}", {"kms:decrypt", "ssm:getparameter"}),
        ("[{Statement: [{Effect: Deny, Action: '*'}]}]", set()),
        ("[arn:aws:iam::123456789012:policy/ours]", UNKNOWN),
        ("[!Ref Elsewhere]", UNKNOWN),
        ("[{Statement: [{Effect: Allow, Action: !Ref Action}]}]", UNKNOWN),
        ("!Ref Own", {"sqs:sendmessage"}),
    ],
)
def test_policies_become_allowed_actions(tmp_path: Path, policies: str, allowed: object) -> None:
    """Policies become the actions that they allow, or UNKNOWN if one of them is elsewhere."""
    own = "{Statement: [{Effect: Allow, Action: sqs:SendMessage}]}"
    resources = f"  Own: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {own}}}}}"
    assert one(tmp_path, f"{{Policies: {policies}}}", resources).actions == allowed


def test_roles_as_cdk_writes_them(tmp_path: Path) -> None:
    """A role of the template has its own policies, those that are attached, and those that name it."""
    resources = """
  Role:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns:
        - Fn::Join: ["", ["arn:", {Ref: AWS::Partition}, ":iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]]
  Policy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyDocument: {Statement: [{Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: "*"}]}
      Roles: [{Ref: Role}]
"""
    function = one(tmp_path, '{Role: {"Fn::GetAtt": [Role, Arn]}}', resources)
    assert function.actions == {"secretsmanager:getsecretvalue"}


def test_queues_and_event_source_mappings(tmp_path: Path) -> None:
    """Sources have the visibility timeout of their queue and whether failures of single messages are reported."""
    resources = """
  Queue: {Type: AWS::SQS::Queue}
  Slow: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 300}}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref Fn
      EventSourceArn: !GetAtt Slow.Arn
      FunctionResponseTypes: [ReportBatchItemFailures]
"""
    function = one(tmp_path, "{Events: {In: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}}}", resources)
    found = [(each.kind, each.visibility_timeout_s, each.reports_batch_failures) for each in function.sources]
    assert found == [("sqs", 30, False), ("sqs", 300, True)]


def test_code_that_cdk_has_copied_is_that_of_the_project(tmp_path: Path) -> None:
    """A fault in code is reported once, where it is written, though cdk.out has a copy."""
    template = (Path(__file__).parent / "cdk/Chat.template.json").read_text()
    asset = "asset." + re.findall(r'"S3Key": "([0-9a-f]{64})[.]zip"', template)[-1]
    code = "from zespan_serverless import flush, zespan_lambda\n\n\n@zespan_lambda\ndef handler(e, c):\n    flush()\n"
    for folder in (tmp_path / "src/pkg", tmp_path / "cdk.out" / asset / "pkg"):
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(code)
    (tmp_path / "cdk.out/Chat.template.json").write_text(template.replace("app.handler", "pkg.app.handler"))
    project = read_all(tmp_path)
    assert {each.code for each in project.functions if each.code} == {tmp_path / "src"}
    findings = diagnose(project, selected(["ZS107"], [])).findings
    assert [finding.place.file for finding in findings if finding.place] == [tmp_path / "src/pkg/app.py"]


@pytest.mark.parametrize(
    ("resources", "has_egress"),
    [
        ("Vpc: {Type: AWS::EC2::VPC}", False),
        ("Vpc: {Type: AWS::EC2::VPC}\n  Nat: {Type: AWS::EC2::NatGateway}", True),
        ("Vpc: {Type: AWS::EC2::VPC}\n  R: {Type: AWS::EC2::Route, Properties: {NatGatewayId: nat-0123}}", True),
        ("Vpc: {Type: AWS::EC2::VPC}\n  R: {Type: AWS::EC2::Route, Properties: {GatewayId: igw-0123}}", False),
        ("Other: {Type: AWS::EC2::VPC}", None),
        (
            "Vpc: {Type: AWS::EC2::VPC}\n"
            "  T: {Type: AWS::EC2::SubnetRouteTableAssociation, Properties: {RouteTableId: rtb-0123}}",
            None,
        ),
    ],
)
def test_ways_out_of_a_vpc(tmp_path: Path, resources: str, has_egress: bool | None) -> None:
    """A function has none if its subnets, their VPC and routes are all in the template, and no gateway is."""
    subnet = "  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc}}\n  "
    function = one(tmp_path, "{VpcConfig: {SubnetIds: [!Ref Subnet]}}", subnet + resources)
    assert (function.in_vpc, function.has_egress) == (True, has_egress)


def test_what_cdk_writes() -> None:
    """A template of CDK itself (cdk/README.md) is read with its roles, queues, networks and log groups."""
    project = Project(ROOT)
    cloudformation.read(Path(__file__).parent / "cdk/Chat.template.json", project)
    functions = {each.name[:-8]: each for each in project.functions}
    ask, work, good = (functions[name] for name in ("Ask", "Work", "Good"))
    assert (ask.in_vpc, ask.has_egress, ask.log_retention_days) == (True, False, 7)
    assert [layer[:11] for layer in ask.layers if isinstance(layer, str)] == ["ZespanLayer"]
    assert isinstance(work.actions, set)
    assert "secretsmanager:getsecretvalue" in work.actions
    assert (work.architecture, work.log_retention_days, good.log_retention_days) == ("arm64", None, 30)
    assert [(each.visibility_timeout_s, each.reports_batch_failures) for each in work.sources] == [(30, False)]
    assert [(each.visibility_timeout_s, each.reports_batch_failures) for each in good.sources] == [(120, True)]
    found = {(one.rule.id, one.function) for one in diagnose(project, selected(["ZS2"], [])).findings}
    assert not {id for id, name in found if name == good.name}
    assert {("ZS208", ask.name), ("ZS213", ask.name), ("ZS209", work.name), ("ZS210", work.name)} <= found


def test_the_projects_own_template() -> None:
    """sam-template.yaml is read as it is deployed."""
    project = Project(ROOT)
    cloudformation.read(TEMPLATE, project)
    functions = {each.name: each for each in project.functions}
    assert set(functions) == {"Assistant", "AssistantUnchanged", "Worker"}
    assert all(each.actions == {"ssm:getparameter"} and each.log_retention_days == 30 for each in functions.values())
    assert functions["AssistantUnchanged"].layers == ["Telemetry"]
    assert functions["Worker"].sources[0].visibility_timeout_s == 180
    assert project.layers["Telemetry"].architectures == ("arm64", "x86_64")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Resources:\n  A: [AWS::x\n", "line 3: "),
        ("a: AWS::X\nb: *x", "line 2: nothing is called 'x'"),
        ("# AWS::\na: &a [1, 1]\n" + "".join(f"b{n}: &a [*a, *a]\n" for n in range(30)), "more than 300000 values"),
        ("# AWS::\n" + "[" * 5000, "line 2: "),
        ("# AWS::\n? [a]\n: b", "line 2: a key is no string"),
        ("AWS::\0", "no YAML"),
    ],
)
def test_broken_and_hostile_files_are_skipped(tmp_path: Path, text: str, problem: str) -> None:
    """A file that cannot be read is named with the reason and the line, and the next one is read."""
    (tmp_path / "a.yaml").write_text(text)
    project = read(tmp_path, SMALL, "b.yaml")
    ((file, reason),) = project.skipped
    assert file.name == "a.yaml"
    assert problem in reason
    assert [each.name for each in project.functions] == ["Chat"]


def test_one_function_for_those_who_run_it(tmp_path: Path) -> None:
    """`sam.function` finds by logical id or FunctionName, needs no name for the only one, and says what there is."""
    (tmp_path / "template.yaml").write_text(SMALL)
    for name in (None, "Chat", "the-chat"):
        assert sam.function(tmp_path / "template.yaml", name).name == "Chat"
    with pytest.raises(sam.NoFunction, match="has no function chat: name one of Chat"):
        sam.function(tmp_path / "template.yaml", "chat")
    with pytest.raises(sam.NoFunction, match="several functions: name one of Assistant, AssistantUnchanged, Worker"):
        sam.function(TEMPLATE)
    with pytest.raises(sam.NoFunction, match="No such file"):
        sam.function(tmp_path / "none.yaml")
