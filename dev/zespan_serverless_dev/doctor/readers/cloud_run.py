"""Reads services of Cloud Run in YAML (https://cloud.google.com/run/docs/reference/yaml/v1)."""

from __future__ import annotations

from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project
from . import _files, _values
from ._documents import Table, line_of, parse_yaml, row, table

_THROTTLED = "run.googleapis.com/cpu-throttling"
_TIMEOUT = 300  # https://cloud.google.com/run/docs/configuring/request-timeout


def read(root: Path, project: Project) -> None:
    """Add every service of Knative's form."""

    def add(file: Path, content: str) -> bool:
        if "serving.knative.dev" not in content:
            return False
        services = [each for each in map(table, parse_yaml(content)) if _is_service(each)]
        project.functions += [_service(file, each) for each in services]
        return bool(services)

    _files.each(project, root, ("*.yaml", "*.yml"), add)


def _is_service(document: Table) -> bool:
    return document.get("kind") == "Service" and str(document.get("apiVersion")).startswith("serving.knative.dev/")


def _service(file: Path, document: Table) -> Function:
    template = table(table(document.get("spec")).get("template"))
    spec, annotations = table(template.get("spec")), table(table(template.get("metadata")).get("annotations"))
    metadata = table(document.get("metadata"))
    function = Function(str(metadata.get("name")), "google_cloud", Place(file, line_of(metadata, "name")))
    seconds = spec.get("timeoutSeconds", _TIMEOUT)
    function.timeout_s = seconds if isinstance(seconds, (int, float)) else UNKNOWN
    function.has_cpu_after_response = str(annotations.get(_THROTTLED, "true")).lower() == "false"
    if "timeoutSeconds" in spec:
        function.places["timeout_s"] = Place(file, line_of(spec, "timeoutSeconds"))
    for container in map(table, row(spec.get("containers"))):
        function.environment |= _values.listed(file, container.get("env"))
    return function
