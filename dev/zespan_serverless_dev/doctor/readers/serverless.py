"""Reads serverless.yml of the Serverless Framework, as the template of SAM that says the same.

https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Function, Layer, Project
from . import _files, _functions
from ._documents import Row, Table, line_of, row, table
from ._template import Template

_VARIABLE = re.compile(r"\$\{(?!AWS::)[a-zA-Z]\w*[:(]")
_OWN = re.compile(r"\$\{self:([\w.-]+)\}")
_UNKNOWN = {"Fn::Unknown": None}
_TIMEOUT, _MEMORY = 6, 1024  # what the framework sets by default

# The framework's names of properties, and SAM's.
_PROPERTIES = {
    "handler": "Handler",
    "runtime": "Runtime",
    "timeout": "Timeout",
    "memorySize": "MemorySize",
    "layers": "Layers",
    "vpc": "VpcConfig",
    "image": "ImageUri",
    "role": "Role",
}


def read(root: Path, project: Project) -> None:
    """Add the functions of every serverless.yml; those for other clouds than AWS are left alone."""

    def add(file: Path, content: str) -> bool:
        document = table(_files.parsed(file, content))
        provider = document.get("provider")
        name = provider if isinstance(provider, str) else table(provider).get("name")
        if "service" not in document or name != "aws":
            return False
        service = _Service(file, table(_resolved(document, document, 0)))
        project.functions += service.functions()
        project.layers |= service.layers()
        return True

    _files.each(project, root, ("serverless.yml", "serverless.yaml", "serverless.json"), add)


class _Service:
    """One serverless.yml."""

    def __init__(self, file: Path, document: Table) -> None:
        self._provider = table(document.get("provider"))
        resources = Table()
        for each in map(table, row(document.get("resources"))):
            resources.update(table(each.get("Resources")))
            resources.lines.update(table(each.get("Resources")).lines)
        layers, self._written = _named(document.get("layers")), _named(document.get("functions"))
        for name, layer in layers.items():
            self._put(resources, layers, name, f"{_title(name)}LambdaLayer", _layer(table(layer)))
        for name, function in self._written.items():
            self._put(resources, self._written, name, f"{_title(name)}LambdaFunction", self._properties(function))
        template = Table({"Resources": resources})
        self._template = Template(file, template)

    @staticmethod
    def _put(resources: Table, container: Any, name: str, id: str, resource: Table) -> None:
        resources[id] = resource
        resources.lines[id] = line_of(container, name) or 1

    def functions(self) -> list[Function]:
        """Return the functions by their names in serverless.yml."""
        found = {each.name: each for each in _functions.functions(self._template)}
        named = []
        for name, written in self._written.items():
            function = found[f"{_title(name)}LambdaFunction"]
            function.name, function.code = name, self._template.file.parent
            if function.environment.pop(next(iter(_UNKNOWN)), None):  # all of a file's variables
                function.environment_is_partial = True
            days = self._shared(written, "logRetentionInDays")
            if days is not None:
                function.log_retention_days = self._template.number(days)
            named.append(function)
        return named

    def layers(self) -> dict[str, Layer]:
        return _functions.layers(self._template)

    def _shared(self, function: Any, name: str) -> Any:
        """Return a function's own setting, or the provider's."""
        return table(function).get(name, self._provider.get(name))

    def _properties(self, function: Any) -> Table:
        """Return a function as SAM's."""
        function = table(function)
        properties = Table({"Timeout": _TIMEOUT, "MemorySize": _MEMORY})
        for source in (self._provider, function):
            for name, wanted in _PROPERTIES.items():
                if name in source and (name != "role" or source is function):
                    properties[wanted] = source[name]
                    properties.lines[wanted] = line_of(source, name) or 1
        if "VpcConfig" in properties:
            subnets = table(properties["VpcConfig"]).get("subnetIds")
            properties["VpcConfig"] = Table({"SubnetIds": subnets} if subnets else {})
        if (architecture := self._shared(function, "architecture")) is not None:
            properties["Architectures"] = Row([architecture])
        if self._shared(function, "snapStart") is True:
            properties["SnapStart"] = {"ApplyOn": "PublishedVersions"}
        shared, own = table(self._provider.get("environment")), table(function.get("environment"))
        variables = Table({**shared, **own})
        variables.lines = {**shared.lines, **own.lines}
        properties["Environment"] = Table({"Variables": variables})
        properties["Events"] = _events(function)
        if "Role" not in properties:
            properties |= self._permissions(function)
        return Table({"Type": _functions.TYPES[0], "Properties": properties})

    def _permissions(self, function: Table) -> dict[str, Any]:
        role = table(self._provider.get("iam")).get("role", self._provider.get("role", {}))
        if not isinstance(role, dict) or _functions.is_intrinsic(role):
            return {"Role": role}
        own = row(function.get("iamRoleStatements"))
        shared = [*row(role.get("statements")), *row(self._provider.get("iamRoleStatements"))]
        managed = [*row(role.get("managedPolicies")), *row(self._provider.get("iamManagedPolicies"))]
        return {"Policies": Row([{"Statement": Row([*own, *shared])}, *managed])}


def _named(value: Any) -> Table:
    """Return a section of named things, which may be a sequence of such; what another file has is not known."""
    found = Table()
    for part in map(table, row(value)):
        found.update({name: each for name, each in part.items() if name not in _UNKNOWN})
        found.lines.update(part.lines)
    return found


def _events(function: Table) -> Table:
    events = Table()
    for index, event in enumerate(row(function.get("events"))):
        if isinstance(event, str):
            kind, written = event, None
        elif isinstance(event, dict) and event:
            kind, written = next(iter(event.items()))
        else:
            continue
        arn = table(written).get("arn", written)
        types = table(written).get("functionResponseType")
        size = table(written).get("batchSize")
        properties = Table({"Queue": arn, "FunctionResponseTypes": row(types), "BatchSize": size})
        type = {"sqs": "SQS", "stream": "Kinesis", "httpApi": "Api", "http": "Api"}.get(kind, kind)
        name = f"{kind}{index}"
        events[name] = Table({"Type": type, "Properties": properties})
        line = line_of(event, kind) or line_of(function.get("events"), index)
        if line:
            events.lines[name] = line
    return events


def _layer(layer: Table) -> Table:
    properties = {
        "Content": layer.get("path"),
        "CompatibleRuntimes": layer.get("compatibleRuntimes"),
        "CompatibleArchitectures": layer.get("compatibleArchitectures"),
    }
    return Table({"Type": _functions.LAYERS[1], "Properties": Table(properties)})


def _title(name: str) -> str:
    """Return a name as the framework puts it into the names of resources."""
    return (name[:1].upper() + name[1:]).replace("-", "Dash").replace("_", "Underscore")


def _resolved(node: Any, document: Table, depth: int) -> Any:
    """Return a value with ${self:...} replaced; other variables of the framework are not known."""
    if isinstance(node, dict):
        found = Table({key: _resolved(each, document, depth) for key, each in node.items()})
        found.lines = getattr(node, "lines", {})
        return found
    if isinstance(node, list):
        values = Row(_resolved(each, document, depth) for each in node)
        values.lines = getattr(node, "lines", [])
        return values
    if not isinstance(node, str) or not _VARIABLE.search(node):
        return node
    whole = _OWN.fullmatch(node)
    if whole and depth < 10:
        return _resolved(_at(document, whole[1]), document, depth + 1)
    text = _OWN.sub(lambda match: str(_at(document, match[1])), node)
    return _UNKNOWN if _VARIABLE.search(text) or str(UNKNOWN) in text else text


def _at(document: Table, path: str) -> Any:
    found: Any = document
    for key in path.split("."):
        found = table(found).get(key, UNKNOWN)
    return _UNKNOWN if found is UNKNOWN or isinstance(found, (dict, list)) else found
