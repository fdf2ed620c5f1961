"""Reads templates of CloudFormation and SAM, and those that CDK makes of its own code (cdk.out)."""

from __future__ import annotations

from pathlib import Path

from ..model import Project
from . import _files, _functions
from ._documents import table
from ._template import Template


def read(root: Path, project: Project) -> None:
    """Add the functions and layers of every template below `root`."""

    def add(file: Path, content: str) -> bool:
        if "AWS::" not in content:
            return False
        template = Template(file, _files.parsed(file, content))
        if not is_template(template):
            return False
        project.functions += _functions.functions(template)
        project.layers |= _functions.layers(template)
        return True

    _files.each(project, root, ("*.yaml", "*.yml", "*.json", "*.template"), add)


def is_template(template: Template) -> bool:
    """Whether it has CloudFormation's resources; serverless.yml has them elsewhere, and a plan of Terraform others."""
    types = [table(each).get("Type") for each in template.resources.values()]
    return any(isinstance(each, str) and each.startswith("AWS::") for each in types)
