"""One function of a SAM or CloudFormation template: its handler, code, variables, limits and layers."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from ..doctor.model import Function, Layer
from ..doctor.readers import sam
from .plan import Plan, Unusable


def function_of(template: Path, name: str | None, handler: str | None, known: Collection[str] = ()) -> Plan:
    """Return what the template says of the function; `handler` is used where it says none. Raises Unusable.

    `known`: names of the variables that have a value here.
    """
    try:
        function, made = sam.function(template.resolve(), name), sam.layers(template.resolve())
    except sam.NoFunction as error:
        raise Unusable(str(error)) from None
    said = function.handler if isinstance(function.handler, str) else handler
    if said is None:
        raise Unusable(f"{function.name}: the template does not say its handler: type it, such as app.handler")
    if function.code is None or not function.code.is_dir():
        raise Unusable(f"{function.name}: the folder with its code (CodeUri) is not there: {template} leads nowhere")
    variables = {each.name: each.value for each in function.environment.values() if isinstance(each.value, str)}
    return Plan(
        handler=said,
        code=function.code,
        timeout=int(function.timeout_s) if isinstance(function.timeout_s, (int, float)) else Plan.timeout,
        memory=function.memory_mb if isinstance(function.memory_mb, int) else Plan.memory,
        env=variables,
        layers=[*_built(function), *(path for layer in _local(function, made) for path in _paths(layer))],
        function=function.name,
        notes=[*_notes(function, made, known)],
    )


def _built(function: Function) -> list[Path]:
    """Return the folder that `sam build` has made, for the dependencies in it: the code is the one in the sources."""
    return [function.built] if function.built is not None and function.runtime == _runtime() else []


def _local(function: Function, made: dict[str, Layer]) -> Iterator[Layer]:
    return (made[layer] for layer in function.layers if isinstance(layer, str) and layer in made)


def _paths(layer: Layer) -> list[Path]:
    """Return where Python searches below a layer's folder."""
    if layer.code is None or not layer.code.is_dir():
        return []
    python = layer.code / "python"
    places = [python / "lib" / _runtime() / "site-packages", python]
    return [place for place in places if place.is_dir()]


def _notes(function: Function, made: dict[str, Layer], known: Collection[str]) -> Iterator[str]:
    """Yield notes on differences from the template."""
    if isinstance(function.runtime, str) and function.runtime != _runtime():
        yield f"the template says {function.runtime}; this is {_runtime()}, the Python of this command"
    for layer in function.layers:
        if not isinstance(layer, str) or layer not in made:
            yield f"a layer is not here: {layer}. What it has must be installed beside this command"
        elif not _paths(made[layer]):
            yield f"the layer {layer} is not built as a folder with python/: what it has must be installed here"
    for variable in function.environment.values():
        if not isinstance(variable.value, str) and variable.name not in known:
            yield f"only the deployment knows {variable.name}: export it here, or type --env {variable.name}=..."


def _runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
