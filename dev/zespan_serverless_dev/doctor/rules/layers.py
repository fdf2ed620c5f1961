"""Rules on Lambda layers, on the handler that is set, and on what is deployed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..concerned import concerned, own_layers, place_of
from ..findings import Finding, rule
from ..lookup import AUTOMATIC, LAYER_WRAPPER, is_traced
from ..model import Function, Layer, Place, Project
from ..readers.files import text_of

_OLDEST = (3, 11)
_VERSION = re.compile(r"python(\d+)\.(\d+)")
_REQUIREMENT = re.compile(r"\s*zespan[-_.]serverless\s*(\[[^]]*\])?\s*(?P<version>[^#;]*)", re.IGNORECASE)
_MOST_FILES = 20_000


@rule(
    "ZS203",
    "wrapper-without-layer",
    "error",
    "Lambda starts the runtime through the wrapper: if the wrapper is missing, no invocation succeeds.",
    "Add the layer that `zespan-serverless layer build` makes, or remove AWS_LAMBDA_EXEC_WRAPPER.",
)
def wrapper_without_layer(project: Project) -> Iterator[Finding]:
    """Find functions that are started through the layer's wrapper, and have no layer; images cannot have any."""
    for function in concerned(project, "aws_lambda"):
        variable = function.environment.get("AWS_LAMBDA_EXEC_WRAPPER")
        if variable is None or variable.value != LAYER_WRAPPER:
            continue
        if function.is_packaged_as_image:
            remedy = f"Make {AUTOMATIC} the image's command, and set ZESPAN_LAMBDA_HANDLER to yours."
            yield Finding(f"{function.name} is an image, which takes no layers", variable.place, remedy, function.name)
        elif not function.layers:
            yield Finding(f"{function.name} has no layer with {LAYER_WRAPPER}", variable.place, function=function.name)


@rule(
    "ZS204",
    "layer-without-wrapper",
    "warning",
    "The layer by itself traces nothing.",
    "Set AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper, or put @zespan_lambda above the handler.",
)
def layer_without_wrapper(project: Project) -> Iterator[Finding]:
    """Find functions that have our layer, code that does not import the package, and no wrapper."""
    for function in concerned(project, "aws_lambda"):
        is_unknown = function.environment_is_partial or function.code is None
        has_other = "AWS_LAMBDA_EXEC_WRAPPER" in function.environment
        is_own = isinstance(function.handler, str) and function.handler.startswith("zespan_serverless.")
        if own_layers(function) and not (is_unknown or has_other or is_own or is_traced(project, function)):
            text = f"{function.name} has the layer {own_layers(function)[0]}, and nothing uses it"
            yield Finding(text, place_of(function, "layers"), function=function.name)


@rule(
    "ZS205",
    "layer-for-other-python",
    "warning",
    "Bytecode and compiled packages work only with the Python version that they were built for.",
    "Build the layer for the function's runtime, and name the runtime in CompatibleRuntimes.",
)
def layer_for_other_python(project: Project) -> Iterator[Finding]:
    """Find functions whose runtime is not among those that a layer of the project is made for."""
    for function, layer in _layered(project):
        if isinstance(function.runtime, str) and layer.runtimes and function.runtime not in layer.runtimes:
            text = (
                f"{function.name} runs on {function.runtime}, and its layer {layer.name} is for {_list(layer.runtimes)}"
            )
            yield Finding(text, place_of(function, "runtime"), function=function.name)


@rule(
    "ZS206",
    "layer-for-other-architecture",
    "warning",
    "Compiled code in a layer works only on the architecture that it was built for.",
    "Build the layer for the function's architecture, and name it in CompatibleArchitectures.",
)
def layer_for_other_architecture(project: Project) -> Iterator[Finding]:
    """Find functions whose architecture is not among those that a layer of the project is made for."""
    for function, layer in _layered(project):
        named = layer.architectures
        if isinstance(function.architecture, str) and named and function.architecture not in named:
            text = f"{function.name} runs on {function.architecture}, and its layer {layer.name} is for {_list(named)}"
            yield Finding(text, place_of(function, "architecture"), function=function.name)


@rule(
    "ZS207",
    "python-too-old",
    "error",
    "The package needs Python 3.11: on an older one it cannot be imported, and the layer's wrapper traces nothing.",
    "Use the runtime python3.11 or a newer one.",
)
def python_too_old(project: Project) -> Iterator[Finding]:
    """Find functions on a Python that is older than the package's oldest."""
    for function in concerned(project, "aws_lambda"):
        found = _VERSION.fullmatch(function.runtime) if isinstance(function.runtime, str) else None
        if found and (int(found[1]), int(found[2])) < _OLDEST:
            yield Finding(
                f"{function.name} runs on {function.runtime}", place_of(function, "runtime"), function=function.name
            )


@rule(
    "ZS215",
    "handler-not-named",
    "error",
    "The handler of this package calls the one that ZESPAN_LAMBDA_HANDLER names; without it every invocation fails.",
    "Set ZESPAN_LAMBDA_HANDLER to your handler, such as app.handler.",
)
def handler_not_named(project: Project) -> Iterator[Finding]:
    """Find functions with this package's handler that do not name their own; an image may set it at run time."""
    named_somewhere = any("ZESPAN_LAMBDA_HANDLER" in function.environment for function in project.functions)
    for function in concerned(project, "aws_lambda"):
        is_partial = function.environment_is_partial and (named_somewhere or not function.is_packaged_as_image)
        if function.handler == AUTOMATIC and "ZESPAN_LAMBDA_HANDLER" not in function.environment and not is_partial:
            text = f"{function.name} has the handler of this package, and no ZESPAN_LAMBDA_HANDLER"
            yield Finding(text, place_of(function, "handler"), function=function.name)


@rule(
    "ZS216",
    "layer-not-pinned",
    "warning",
    "The next build of the layer uses whatever version is the newest by then.",
    "Pin one version, or one file, in the layer's requirements.txt.",
)
def layer_not_pinned(project: Project) -> Iterator[Finding]:
    """Find layers that are built with any version of this package."""
    for layer in project.layers.values():
        file = (layer.code or layer.place.file) / "requirements.txt"
        for number, line in enumerate(_lines(file), 1):
            found = _REQUIREMENT.match(line)
            if found and not found["version"].strip().startswith(("==", "@")):
                yield Finding(f"the layer {layer.name} takes any version of the package", Place(file, number))


@rule(
    "ZS217",
    "no-bytecode",
    "info",
    "Lambda's folders are read-only: modules without bytecode are compiled at every cold start.",
    "Run `python3.13 -m compileall -q --invalidation-mode unchecked-hash` on the built folder before you deploy it.",
)
def no_bytecode(project: Project) -> Iterator[Finding]:
    """Find what has been built for Lambda, functions and layers, without valid bytecode for the function's Python."""
    for function in concerned(project, "aws_lambda"):
        if isinstance(function.runtime, str) and function.built:
            text = ""
            if _lacks_bytecode(function.built, function.runtime):
                text = f"what is built of {function.name} has no bytecode for {function.runtime}"
            elif _is_dated(function.built, function.runtime):
                text = f"the bytecode of {function.name} depends on file times, which packaging changes"
            if text:
                yield Finding(text, function.place, function=function.name)
    for function, layer in _layered(project):
        is_ours = layer.code is not None and any("zespan_serverless/" in name for name in _names(layer.code))
        if (
            is_ours
            and layer.code
            and isinstance(function.runtime, str)
            and _lacks_bytecode(layer.code, function.runtime)
        ):
            text = f"the layer {layer.name} has no bytecode for {function.runtime}, on which {function.name} runs"
            remedy = f"Build it with `zespan-serverless layer build --python {function.runtime}`."
            yield Finding(text, layer.place, remedy, function.name)


def _lacks_bytecode(built: Path, runtime: str) -> bool:
    """Whether a built folder or zip has Python's sources, and no bytecode for a runtime."""
    tag, names = _tag(runtime), _names(built)
    return any(name.endswith(".py") for name in names) and not any(name.endswith(tag) for name in names)


def _is_dated(folder: Path, runtime: str) -> bool:
    """Whether a built folder has bytecode that is valid only while its source keeps its time (PEP 552)."""
    for name in filter(lambda name: name.endswith(_tag(runtime)), _names(folder)):
        with suppress(OSError), Path(name).open("rb") as file:
            if file.read(8)[4:] == bytes(4):
                return True
    return False


def _tag(runtime: str) -> str:
    """Return the end of the names of bytecode files."""
    return f".cpython-{runtime.removeprefix('python').replace('.', '')}.pyc"


def _names(built: Path) -> list[str]:
    if built.is_dir():
        return [path.as_posix() for _, path in zip(range(_MOST_FILES), built.rglob("*"), strict=False)]
    try:
        with zipfile.ZipFile(built) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return []


def _layered(project: Project) -> Iterator[tuple[Function, Layer]]:
    for function in concerned(project, "aws_lambda"):
        for name in function.layers:
            if isinstance(name, str) and name in project.layers:
                yield function, project.layers[name]


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _lines(file: Path) -> list[str]:
    try:
        return text_of(file).splitlines()
    except (OSError, ValueError):
        return []
