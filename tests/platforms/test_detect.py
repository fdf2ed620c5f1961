"""Which platform an environment is taken for, and what it says of a request."""

from __future__ import annotations

import pytest

from zespan_serverless._platforms.detect import detect

AGENT = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/demo-AbC123/runtime-endpoint/DEFAULT:DEFAULT"
IMAGE = "arn:aws:lambda:eu-west-1:123456789012:microvm-image/chat"
VARIABLES = ("VERCEL", "VERCEL_IPC_PATH", "K_SERVICE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "name", "keeps_cpu", "attributes"),
    [
        (
            {"OTEL_RESOURCE_ATTRIBUTES": f"service.name=demo.DEFAULT, cloud.resource_id={AGENT}"},
            *("demo", False),
            {"cloud.provider": "aws", "cloud.region": "us-east-1", "cloud.account.id": "123456789012"},
        ),
        ({"OTEL_RESOURCE_ATTRIBUTES": "=,,cloud.resource_id=:bedrock-agentcore:"}, "", False, {}),
        (
            {"FOUNDRY_AGENT_NAME": "demo", "FOUNDRY_AGENT_VERSION": "3"},
            *("demo", False),
            {"cloud.provider": "azure", "faas.version": "3"},
        ),
        ({"FOUNDRY_HOSTING_ENVIRONMENT": "hosted"}, "", False, {"cloud.platform": "azure_ai_foundry"}),
        (
            {"FC_FUNCTION_NAME": "chat", "FC_REGION": "cn-hangzhou", "FC_QUALIFIER": "LATEST"},
            *("chat", False),
            {"cloud.provider": "alibaba_cloud", "cloud.region": "cn-hangzhou", "faas.version": "LATEST"},
        ),
        (
            {"K_SERVICE": "chat", "K_REVISION": "chat-00001", "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            *("chat", True),
            {"cloud.provider": None, "faas.version": "chat-00001"},
        ),
        (
            {"FN_FN_ID": "ocid1.fnfunc.oc1..f", "FN_FN_NAME": "chat", "FN_MEMORY": "128"},
            *("chat", False),
            {"cloud.provider": "oracle_cloud", "faas.max_memory": 128 * 1024**2},
        ),
        ({"FN_FN_ID": "01D8", "FN_MEMORY": "much"}, "", False, {"cloud.provider": None, "cloud.platform": "fn"}),
        (
            {"__OW_API_HOST": "https://faas-nyc1-2ef2e6cc.doserverless.co", "__OW_ACTION_NAME": "/fn-1/shop/chat"},
            *("shop/chat", False),
            {"cloud.provider": "digitalocean", "cloud.region": "nyc1"},
        ),
        (
            {"__OW_API_HOST": "http://172.17.0.1:3233", "__OW_ACTION_NAME": "chat"},
            *("chat", False),
            {"cloud.provider": None, "cloud.platform": "openwhisk", "cloud.region": None},
        ),
        (
            {"AWS_LAMBDA_MICROVM_IMAGE_ARN": IMAGE},
            *("chat", True),
            {"cloud.provider": "aws", "cloud.region": "eu-west-1", "cloud.resource_id": IMAGE},
        ),
        ({"AWS_LAMBDA_MICROVM_IMAGE_ARN": ""}, "", True, {"cloud.platform": "aws_lambda"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=web"}, "", True, {}),
    ],
)
def test_platforms_by_their_environments(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    name: str,
    keeps_cpu: bool,
    attributes: dict[str, object],
) -> None:
    """Each is recognized, with its name and attributes, and whether threads go on after a response."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    platform = detect()
    assert (platform.name, platform.keeps_cpu) == (name, keeps_cpu)
    assert {key: platform.attributes.get(key) for key in attributes} == attributes


def test_request_of_function_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headers name the request and its timeout; others' values are none."""
    monkeypatch.setenv("FC_FUNCTION_NAME", "chat")
    facts = detect().facts({"x-fc-request-id": "1-2", "x-fc-function-timeout": "3"}.get)
    assert facts.id == "1-2"
    assert facts.remaining is not None
    assert 2 < facts.remaining() <= 3
    assert detect().facts({"x-fc-function-timeout": "soon"}.get).remaining is None


@pytest.mark.parametrize(
    ("headers", "user", "session"),
    [
        ({}, None, None),
        ({"x-amzn-bedrock-agentcore-runtime-session-id": "s"}, None, "s"),
        ({"baggage": "a=b, user.id = ada%20l ;p=1"}, "ada l", None),
        ({"baggage": "user.id=ada", "x-amzn-bedrock-agentcore-runtime-user-id": "bob"}, "bob", None),
        ({"baggage": "user.id"}, None, None),
    ],
)
def test_user_and_session_of_agentcore(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], user: str | None, session: str | None
) -> None:
    """The caller's user comes before that of its baggage, which anybody may have written."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"cloud.resource_id={AGENT}")
    assert detect().audience(headers.get) == (user, session)
