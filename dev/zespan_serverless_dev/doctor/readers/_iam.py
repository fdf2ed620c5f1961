"""Reads what policies allow: IAM's actions, in lower case."""

from __future__ import annotations

from typing import Any

from ..model import UNKNOWN, Unknown
from ._documents import row, table
from ._template import NOTHING, Template

# AWS's policies that functions usually have, and what they allow of what this package may need.
_MANAGED = {
    "awslambdabasicexecutionrole": (),
    "awslambdabasicdurableexecutionrolepolicy": (),
    "awslambdadynamodbexecutionrole": (),
    "awslambdaeniimanagementaccess": (),
    "awslambdakinesisexecutionrole": (),
    "awslambdarole": (),
    "awslambdasqsqueueexecutionrole": ("sqs:receivemessage", "sqs:deletemessage", "sqs:getqueueattributes"),
    "awslambdavpcaccessexecutionrole": (),
    "awslambdaexecute": ("s3:getobject", "s3:putobject"),
    "awsxraydaemonwriteaccess": (),
    "awsxraywriteonlyaccess": (),
    "cloudwatchlambdainsightsexecutionrolepolicy": (),
    "administratoraccess": ("*",),
    "poweruseraccess": ("*",),
    "amazonssmreadonlyaccess": ("ssm:get*",),
    "amazonssmfullaccess": ("ssm:*",),
    "secretsmanagerreadwrite": ("secretsmanager:*",),
    "amazons3fullaccess": ("s3:*",),
    "amazonsqsfullaccess": ("sqs:*",),
}

# SAM's templates of policies that allow what this package may need; the others of its closed list do not.
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-policy-template-list.html
_SAM = {
    "AWSSecretsManagerGetSecretValuePolicy": ("secretsmanager:getsecretvalue",),
    "AWSSecretsManagerRotationPolicy": ("secretsmanager:getsecretvalue",),
    "KMSDecryptPolicy": ("kms:decrypt",),
    "SSMParameterReadPolicy": ("ssm:getparameter", "ssm:getparameters"),
    "SSMParameterWithSlashPrefixReadPolicy": ("ssm:getparameter", "ssm:getparameters"),
    "SQSSendMessagePolicy": ("sqs:sendmessage*",),
    "S3CrudPolicy": ("s3:getobject", "s3:listbucket", "s3:putobject", "s3:deleteobject"),
    "S3FullAccessPolicy": ("s3:*",),
    "S3WritePolicy": ("s3:putobject",),
    "S3ReadPolicy": ("s3:getobject", "s3:listbucket"),
}


def statements(document: Any) -> set[str] | Unknown:
    """Return the actions that a policy document allows, or UNKNOWN; conditions and resources are ignored."""
    if not isinstance(document, dict):
        return UNKNOWN
    allowed: set[str] = set()
    for statement in row(document.get("Statement")):
        if not isinstance(statement, dict):
            return UNKNOWN
        if statement.get("Effect", "Allow") != "Deny":
            actions = row(statement.get("Action"))
            if UNKNOWN in actions:
                return UNKNOWN
            allowed.update(action.lower() for action in actions if isinstance(action, str))
            allowed.update({"*"} if "NotAction" in statement else ())
    return allowed


def managed(name: Any) -> set[str] | Unknown:
    """Return the actions that one of AWS's policies allows, by name or ARN; UNKNOWN if it is not in the list."""
    found = _MANAGED.get(name.rsplit("/", 1)[-1].lower()) if isinstance(name, str) else None
    return UNKNOWN if found is None else set(found)


def union(parts: list[set[str] | Unknown]) -> set[str] | Unknown:
    """Return all actions together; UNKNOWN as soon as one part is."""
    known = [part for part in parts if isinstance(part, set)]
    return UNKNOWN if len(known) < len(parts) else set().union(*known)


def of_function(template: Template, name: str, properties: Any) -> set[str] | Unknown:
    """Return what the role of a function in a template allows."""
    if "Role" not in properties:
        return union([_sam_policy(template, each) for each in row(properties.get("Policies"))])
    role = template.target(properties["Role"])
    resource = table(template.resources.get(role or ""))
    if role is None or resource.get("Type") != "AWS::IAM::Role":
        return UNKNOWN
    return _of_role(template, role, table(resource.get("Properties")))


def _sam_policy(template: Template, policy: Any) -> set[str] | Unknown:
    """Return one entry of SAM's Policies: a name or ARN, a reference, statements, or a template with its parameters."""
    if template.target(policy):
        return _attached(template, policy)
    if isinstance(policy, dict) and "Statement" in policy:
        return statements(template.value(policy))
    found = template.value(policy)
    if found is NOTHING:
        return set()
    if isinstance(found, dict) and len(found) == 1:
        return set(_SAM.get(next(iter(found)), ()))
    return managed(found)


def _attached(template: Template, policy: Any) -> set[str] | Unknown:
    """Return what a managed policy allows, which may be one of the template's own."""
    resource = table(template.resources.get(template.target(policy) or ""))
    if resource.get("Type") == "AWS::IAM::ManagedPolicy":
        return statements(template.value(table(resource.get("Properties")).get("PolicyDocument")))
    return managed(template.value(policy))


def _of_role(template: Template, role: str, properties: Any) -> set[str] | Unknown:
    parts = [statements(template.value(table(each).get("PolicyDocument"))) for each in row(properties.get("Policies"))]
    attached = [_attached(template, each) for each in row(properties.get("ManagedPolicyArns"))]
    for policy in template.of_type("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy").values():
        of = [*row(policy.get("Roles")), *row(policy.get("RoleName"))]
        if any(template.target(each) == role for each in of):
            parts.append(statements(template.value(policy.get("PolicyDocument"))))
    return union([*parts, *attached])
