"""Publishes the layer in many regions, and prints the ARN of each: a function can only have a layer of its own region.

    python deploy/aws_lambda/layer/publish.py zespan-serverless-layer.zip
    python deploy/aws_lambda/layer/publish.py zespan-serverless-layer.zip --regions eu-west-1 us-east-1 --public

It needs boto3 and credentials with lambda:PublishLayerVersion, lambda:ListLayerVersions, lambda:GetLayerVersion and, to
share the layer, lambda:AddLayerVersionPermission. Where the newest version has the same bytes, no other is published.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

RUNTIMES = ["python3.11", "python3.12", "python3.13", "python3.14"]
# What AWS answers in a region that the account has not switched on.
NOT_ENABLED = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "OptInRequired"}


def publish(region: str, zip_file: bytes, given: argparse.Namespace) -> str:
    """Publish the layer in one region, unless it is there; return the ARN of the version."""
    retries = Config(connect_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})
    # A session of its own, because threads cannot make clients of one session at once.
    client = boto3.Session().client("lambda", region_name=region, config=retries)
    version = _same(client, given.name, zip_file) or client.publish_layer_version(
        LayerName=given.name,
        Description=given.description,
        Content={"ZipFile": zip_file},
        CompatibleRuntimes=RUNTIMES,
        LicenseInfo="Apache-2.0",
    )
    if given.public or given.organization:
        _share(client, given.name, version["Version"], given.organization)
    arn: str = version["LayerVersionArn"]
    return arn


def _same(client: Any, name: str, zip_file: bytes) -> Any:
    """Find the newest version, if it has the same bytes."""
    versions = [version["Version"] for version in client.list_layer_versions(LayerName=name)["LayerVersions"]]
    if not versions:
        return None
    newest = client.get_layer_version(LayerName=name, VersionNumber=max(versions))
    digest = base64.b64encode(hashlib.sha256(zip_file).digest()).decode()
    return newest if newest["Content"]["CodeSha256"] == digest else None


def _share(client: Any, name: str, version: int, organization: str | None) -> None:
    """Let every account use a version, or those of an organization."""
    more = {"OrganizationId": organization} if organization else {}
    statement = organization or "public"
    with contextlib.suppress(client.exceptions.ResourceConflictException):  # it is shared already
        client.add_layer_version_permission(
            LayerName=name,
            VersionNumber=version,
            StatementId=statement,
            Action="lambda:GetLayerVersion",
            Principal="*",
            **more,
        )


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publish the layer in many regions, and print its ARNs as JSON.")
    parser.add_argument("zip", type=Path, help="what `zespan-serverless layer build` has written")
    parser.add_argument("--name", default="zespan", help="of the layer; default: %(default)s")
    parser.add_argument("--description", default="zespan-serverless", help="such as the version of the package")
    parser.add_argument("--regions", nargs="+", help="default: all that the account has switched on")
    sharing = parser.add_mutually_exclusive_group()
    sharing.add_argument("--public", action="store_true", help="let every AWS account use it")
    sharing.add_argument("--organization", metavar="o-...", help="let the accounts of an organization use it")
    found = parser.parse_args(given)
    if not found.zip.is_file():
        parser.error(
            f"{found.zip} is no file: run `zespan-serverless layer build` first, or name the zip it has written"
        )
    return found


def main(given: list[str] | None = None) -> int:
    asked = arguments(given)
    zip_file = asked.zip.read_bytes()
    regions = asked.regions or boto3.Session().get_available_regions("lambda")
    arns, failed = {}, False
    with ThreadPoolExecutor(8) as pool:
        tries = {region: pool.submit(publish, region, zip_file, asked) for region in regions}
        for region, one in tries.items():
            try:
                arns[region] = one.result()
            except (BotoCoreError, ClientError) as error:
                code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
                is_off = code in NOT_ENABLED and not asked.regions
                failed = failed or not is_off
                print(f"{region}: {'not switched on for this account' if is_off else error}", file=sys.stderr)
    print(json.dumps(arns, indent=2))
    return int(failed or not arns)


if __name__ == "__main__":
    sys.exit(main())
