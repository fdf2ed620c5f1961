"""Rules on layers, with the layer that the package builds."""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

from zespan_serverless._layer import build

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
TEMPLATE = """
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: {runtime}
      Layers: [!Ref Telemetry]
      Environment:
        Variables:
          AWS_LAMBDA_EXEC_WRAPPER: /opt/zespan/wrapper
  Telemetry:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: layer.zip
"""


@pytest.mark.parametrize(
    ("pythons", "found"),
    [([], {RUNTIME: ["ZS217"]}), ([sys.executable], {RUNTIME: [], "python3.99": ["ZS217"]})],
    ids=["without bytecode", "with bytecode"],
)
def test_bytecode_of_the_layer(tmp_path: Path, pythons: list[str], found: dict[str, list[str]]) -> None:
    """The layer that `layer build` makes has bytecode for the function's runtime, or that is said."""
    build(tmp_path / "layer.zip", pythons)
    for runtime, expected in found.items():
        (tmp_path / "template.yaml").write_text(TEMPLATE.format(runtime=runtime))
        result = diagnose(read(tmp_path), selected(["ZS203", "ZS204", "ZS217"], []))
        assert [finding.rule.id for finding in result.findings] == expected, runtime


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (
            PycInvalidationMode.TIMESTAMP,
            ["the bytecode of Chat depends on file times, which packaging changes"],
        ),
        (PycInvalidationMode.CHECKED_HASH, []),
        (PycInvalidationMode.UNCHECKED_HASH, []),
    ],
)
def test_bytecode_that_packaging_makes_invalid(tmp_path: Path, mode: PycInvalidationMode, said: list[str]) -> None:
    """What Python and pip compile by default is reported; bytecode with a hash of its source is not."""
    built = tmp_path / ".aws-sam" / "build" / "Chat"
    built.mkdir(parents=True)
    (built / "app.py").write_text("def handler(event, context):\n    return {}\n")
    py_compile.compile(str(built / "app.py"), invalidation_mode=mode)
    variables = "      Environment: {Variables: {ZESPAN_API_KEY_SECRET: 'ssm:/zespan/api-key'}}\n"
    function = TEMPLATE.format(runtime=RUNTIME).partition("      Layers")[0]
    (tmp_path / "template.yaml").write_text(function + variables)
    result = diagnose(read(tmp_path), selected(["ZS217"], []))
    assert [finding.message for finding in result.findings] == said
