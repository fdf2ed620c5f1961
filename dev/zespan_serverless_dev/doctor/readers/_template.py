"""A CloudFormation or SAM template: its resources, and the values of Ref, Sub and similar functions before a
deployment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Place
from ._documents import LONGEST, Row, Table, line_of, row, table

NOTHING = object()
"""The value of AWS::NoValue: the property is missing."""
_PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": NOTHING,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
}
"""Examples of values that the deployment fills in, which are enough to recognize an ARN."""
_NAME = re.compile(r"\$\{(!?)([^}]*)\}")


class Template:
    """One template."""

    def __init__(self, file: Path, document: Any) -> None:
        self.file = file
        self._document = table(document)
        self._of_type: dict[tuple[str, ...], dict[str, Table]] = {}
        self.resources = {name: table(found) for name, found in table(self._document.get("Resources")).items()}

    def place(self, container: Any, key: str | int) -> Place:
        """Return where a key of a mapping or a value of a sequence is."""
        return Place(self.file, line_of(container, key))

    def placed(self, name: str) -> Place:
        """Return where a resource is."""
        return self.place(self._document.get("Resources"), name)

    def section(self, name: str) -> Table:
        return table(self._document.get(name))

    def of_type(self, *types: str) -> dict[str, Table]:
        """Return the properties of all resources of these types, by their names."""
        if types not in self._of_type:
            found = {name: each for name, each in self.resources.items() if each.get("Type") in types}
            self._of_type[types] = {name: table(each.get("Properties")) for name, each in found.items()}
        return self._of_type[types]

    def value(self, node: Any) -> Any:
        """Return the value of a property: UNKNOWN if only the deployment knows, NOTHING if the property is left out."""
        if isinstance(node, list):
            return Row(kept for each in node if (kept := self.value(each)) is not NOTHING)
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), *_ = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                find = getattr(self, "_" + name.removeprefix("Fn::").lower(), None)
                return UNKNOWN if find is None else find(argument)
        resolved = Table({key: kept for key, each in node.items() if (kept := self.value(each)) is not NOTHING})
        resolved.lines = getattr(node, "lines", {})
        return resolved

    def text(self, node: Any) -> Any:
        """Return a string property as a string; CloudFormation also accepts numbers and booleans."""
        found = self.value(node)
        if isinstance(found, bool):
            return str(found).lower()
        return str(found) if isinstance(found, (str, int, float)) else UNKNOWN

    def number(self, node: Any) -> Any:
        """Return a number property; a string of digits counts as a number."""
        found = self.value(node)
        if isinstance(found, str) and re.fullmatch(r"\d{1,9}", found):
            return int(found)
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else UNKNOWN

    def target(self, node: Any) -> str | None:
        """Return the resource that Ref, GetAtt, or a Sub of nothing else refers to; None if it is not in the
        template."""
        if isinstance(node, dict) and len(node) == 1:
            (name, argument), *_ = node.items()
            if name == "Fn::GetAtt":
                argument = row(argument)[0] if row(argument) else None
            elif name == "Fn::Sub" and isinstance(argument, str):
                names = [found.split(".")[0] for _, found in _NAME.findall(argument)]
                argument = next((each for each in names if each in self.resources), None)
            elif name != "Ref":
                return None
            if isinstance(argument, str):
                argument = argument.split(".")[0]
                return argument if argument in self.resources else None
        return None

    # ------------------------------------------------------------------ the functions, by their names in lower case

    def _ref(self, name: Any) -> Any:
        if not isinstance(name, str):
            return UNKNOWN
        if name in _PSEUDO:
            return _PSEUDO[name]
        parameter = table(self.section("Parameters").get(name))
        if parameter:
            is_looked_up = str(parameter.get("Type", "")).startswith("AWS::SSM::")  # the default is only a name
            hidden = str(parameter.get("NoEcho", "")).lower() == "true"
            return UNKNOWN if is_looked_up or hidden else parameter.get("Default", UNKNOWN)
        if table(self.resources.get(name)).get("Type") == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}"
        return UNKNOWN

    def _sub(self, argument: Any) -> Any:
        text, *rest = row(argument) or [None]
        own = table(rest[0]) if rest else Table()
        if not isinstance(text, str):
            return UNKNOWN
        known: dict[str, str] = {}
        for literal, name in _NAME.findall(text):
            if not literal and name not in known:
                found = self.value(own[name]) if name in own else UNKNOWN if "." in name else self._ref(name.strip())
                if not isinstance(found, (str, int, float)):
                    return UNKNOWN
                known[name] = str(found)
        size = len(text) + sum(len(known.get(name, "")) for _, name in _NAME.findall(text))
        if size > LONGEST:
            return UNKNOWN
        return _NAME.sub(lambda match: f"${{{match[2]}}}" if match[1] else known[match[2]], text)

    def _join(self, argument: Any) -> Any:
        if not (isinstance(argument, list) and len(argument) == 2):
            return UNKNOWN
        parts = self.value(argument[1])
        if not isinstance(parts, list) or any(not isinstance(part, (str, int, float)) for part in parts):
            return UNKNOWN
        between = str(argument[0])
        size = sum(len(str(part)) + len(between) for part in parts)
        return between.join(map(str, parts)) if size <= LONGEST else UNKNOWN

    def _findinmap(self, argument: Any) -> Any:
        found: Any = self.section("Mappings")
        for key in map(self.value, row(argument)[:3]):
            if not isinstance(found, dict) or not isinstance(key, (str, int)) or str(key) not in found:
                return UNKNOWN
            found = found[str(key)]
        return found

    def _if(self, argument: Any) -> Any:
        """Return the value, if both cases have the same; which of them applies depends on parameters."""
        cases = [self.value(each) for each in row(argument)[1:3]]
        return cases[0] if len(cases) == 2 and cases[0] == cases[1] else UNKNOWN

    def _select(self, argument: Any) -> Any:
        if not (isinstance(argument, list) and len(argument) == 2):
            return UNKNOWN
        index, values = self.number(argument[0]), self.value(argument[1])
        if not isinstance(index, int) or not isinstance(values, list) or not 0 <= index < len(values):
            return UNKNOWN
        return values[index]
