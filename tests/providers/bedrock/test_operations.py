"""Which calls of botocore's are Bedrock's, and what the others cost."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from zespan_serverless.providers.bedrock import CHOKES


@pytest.mark.parametrize(("service", "is_traced"), [("bedrock-runtime", True), ("dynamodb", False)])
def test_an_operation_counts_only_with_its_service(service: str, is_traced: bool) -> None:
    """A service of another kind may have an operation of the same name."""
    client = SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace(service_name=service)))
    request = CHOKES[0].read(client, ("Converse", {"modelId": "m", "messages": []}), {})
    assert (request is not None) == is_traced


def test_calls_of_other_services_do_not_import_bedrock() -> None:
    """Most functions that have boto3 never call a model by it."""
    script = """
        import json, sys
        from zespan_serverless import init, patch
        patch("bedrock")
        session = init(exporter="memory", enabled=True)
        import boto3
        from botocore.config import Config
        client = boto3.client("sqs", region_name="us-east-1", endpoint_url="http://127.0.0.1:1",
            aws_access_key_id="a", aws_secret_access_key="b", config=Config(retries={"total_max_attempts": 1}))
        try:
            client.list_queues()
        except Exception as error:
            assert type(error).__name__ == "EndpointConnectionError", error
        assert hasattr(type(client)._make_api_call, "__zespan_original__")
        print(json.dumps([name for name in sys.modules if name.startswith("zespan_serverless.providers.bedrock")]))
    """
    script = textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == ["zespan_serverless.providers.bedrock"]
