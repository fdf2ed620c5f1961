"""Constructs for traced functions: copy this file into your CDK app."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import BundlingOptions, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct

_PYTHONS = ("PYTHON_3_11", "PYTHON_3_12", "PYTHON_3_13", "PYTHON_3_14")


def send_traces(function: lambda_.Function, *, parameter: str = "/zespan/api-key", secret: str | None = None) -> None:
    """Tell a function where its key is, a parameter of SSM or a secret of Secrets Manager, and let it read that."""
    if secret is not None:
        named = secretsmanager.Secret.from_secret_name_v2(function, "ZespanKey", secret)
        named.grant_read(function)
        function.add_environment("ZESPAN_API_KEY_SECRET", named.secret_arn)
        return
    ssm.StringParameter.from_secure_string_parameter_attributes(
        function, "ZespanKey", parameter_name=parameter
    ).grant_read(function)
    function.add_environment("ZESPAN_API_KEY_SECRET", f"ssm:{parameter}")


class ZespanLayer(lambda_.LayerVersion):
    """The layer that `zespan-serverless layer build` makes. It traces functions without a change of their code."""

    def __init__(self, scope: Construct, id: str, *, zip_file: str = "zespan-serverless-layer.zip") -> None:
        runtimes = [getattr(lambda_.Runtime, name) for name in _PYTHONS if hasattr(lambda_.Runtime, name)]
        super().__init__(scope, id, code=lambda_.Code.from_asset(zip_file), compatible_runtimes=runtimes)

    def trace(self, function: lambda_.Function) -> None:
        """Have the layer trace a function."""
        function.add_layers(self)
        function.add_environment("AWS_LAMBDA_EXEC_WRAPPER", "/opt/zespan/wrapper")


def python_code(folder: str, *, platform: str = "manylinux2014_aarch64", version: str = "3.13") -> lambda_.Code:
    """A folder's code with the packages of its requirements.txt, which pip installs here, without Docker."""
    image = lambda_.Runtime(f"python{version}", lambda_.RuntimeFamily.PYTHON).bundling_image
    bundling = BundlingOptions(image=image, local=_Pip(folder, platform, version))
    return lambda_.Code.from_asset(folder, bundling=bundling)


@jsii.implements(ILocalBundling)
class _Pip:
    def __init__(self, folder: str, platform: str, version: str) -> None:
        self._folder = folder
        self._python = f"python{version}"
        self._options = ["--platform", platform, "--python-version", version, "--only-binary=:all:"]

    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:
        requirements = str(Path(self._folder, "requirements.txt"))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", output_dir]
        subprocess.run([*command, "-r", requirements, *self._options], check=True)
        shutil.copytree(self._folder, output_dir, dirs_exist_ok=True)
        # CDK changes the times of all files, so that bytecode must not depend on them.
        compile_all = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", output_dir]
        if shutil.which(self._python) is None:
            print(f"{self._python} is not on the PATH: each cold start compiles the packages", file=sys.stderr)
        elif subprocess.run([self._python, *compile_all]).returncode:
            print("Some files have not been compiled, see above", file=sys.stderr)
        return True
