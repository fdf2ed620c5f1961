"""Checks the command's options. Errors say what to type instead."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..doctor.readers.files import text_of
from ..doctor.source import handler as handler_of
from ..doctor.source import parse
from ..emulator.model import MODEL_VARIABLES
from . import samples

Fault = Literal["hang", "429", "500", "refuse", "drip"]

TIMEOUT_MAX, MEMORY_MIN, MEMORY_MAX = 900, 128, 10_240  # Lambda's own limits

UNUSED = ("PYTHON", "AWS_LAMBDA_", "LAMBDA_", "ZESPAN_PROBE", "TMPDIR", "VIRTUAL_ENV", "_")
"""How the names of this shell's variables begin that a function does not get."""


class Unusable(ValueError):
    """What was typed cannot be done. The message says what to type instead."""


@dataclass(frozen=True)
class Signal:
    """A signal for the function's process: so many seconds after the first call has reached it, None at the end."""

    after: float | None


@dataclass(frozen=True)
class Plan:
    """One run of the command."""

    handler: str
    code: Path
    event: str = ""  # a name for people: of the file or the sample
    payload: object = field(default_factory=dict)
    sample: str | None = None  # what `samples.sample` makes an event of, for each call a new one
    calls: int = 1
    idle: float = 0.2  # seconds between two calls, frozen
    timeout: int = 30
    memory: int = 512
    env: Mapping[str, str] = field(default_factory=dict)  # the template's variables
    given: Mapping[str, str] = field(default_factory=dict)  # those of --env, which count most
    layers: Sequence[Path] = ()
    fault: Fault | None = None
    kill: Signal | None = None
    sigterm: Signal | None = None
    model: bool = False
    dev: str | None = None
    stays: bool = False
    docker: bool = False
    function: str = ""  # its name in the template
    notes: Sequence[str] = ()  # what this run cannot do as the template says

    @property
    def freeze(self) -> str:
        """What freezes the function between calls."""
        return "docker pause" if self.docker else "SIGSTOP"

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function or self.code.name

    def next_event(self) -> bytes:
        """Return the event of the next call."""
        content = self.payload if self.sample is None else samples.sample(self.sample, self.payload)
        return json.dumps(content).encode()


def plan_of(chosen: Namespace) -> Plan:
    """Return the plan that these arguments ask for. Raises Unusable."""
    given = _variables(chosen.env)
    if chosen.template is not None and chosen.event is None:  # its handler is in the template
        chosen = Namespace(**{**vars(chosen), "handler": None, "event": chosen.handler})
    base = _function(chosen, {*shell(), *given, *(MODEL_VARIABLES if chosen.model else ())})
    payload, event = _event(chosen)
    if chosen.sample is not None:
        _checked_sample(chosen.sample)
    return Plan(
        handler=base.handler,
        code=base.code,
        event=chosen.sample or event,
        payload=payload,
        sample=chosen.sample,
        calls=_whole(chosen.calls, "-n", 1, 10_000),
        idle=seconds(chosen.idle, "--idle 2s"),
        timeout=_whole(chosen.timeout, "--timeout", 1, TIMEOUT_MAX) if chosen.timeout is not None else base.timeout,
        memory=_whole(chosen.memory, "--memory", MEMORY_MIN, MEMORY_MAX) if chosen.memory is not None else base.memory,
        env=base.env,
        given=given,
        layers=base.layers,
        fault=chosen.fault,
        kill=_signal(chosen.kill, "--kill"),
        sigterm=_signal(chosen.sigterm, "--sigterm"),
        model=chosen.model,
        dev=chosen.dev,
        stays=chosen.stay,
        docker=chosen.docker or sys.platform != "linux",
        function=base.function,
        notes=base.notes,
    )


def _function(chosen: Namespace, known: Collection[str]) -> Plan:
    """Return what is known of the function itself. `known`: names of the variables that have a value."""
    if chosen.template is not None:
        from .template import function_of

        return function_of(chosen.template, chosen.function, chosen.handler, known)
    if chosen.function is not None:
        raise Unusable("--function chooses one of a template: add --template template.yaml")
    if chosen.handler is None:
        raise Unusable("which function? Type its handler, such as app.handler, or --template template.yaml")
    code: Path = (chosen.code or Path.cwd()).resolve()
    if not code.is_dir():
        raise Unusable(f"{code} is not a folder: --code is the one that has the handler's module")
    module, dot, name = chosen.handler.rpartition(".")
    if not (dot and module and name):
        raise Unusable(f"{chosen.handler!r} is not a handler: type MODULE.FUNCTION, such as app.handler")
    if name == "py" and (code / chosen.handler).is_file():
        raise Unusable(f"{chosen.handler!r} is a file: type MODULE.FUNCTION, such as {module}.handler")
    place = code.joinpath(*re.split(r"[./]", module))
    if not place.with_suffix(".py").is_file() and not place.is_dir():
        raise Unusable(f"{code} has no module {module}: type --code FOLDER, or another handler")
    return Plan(chosen.handler, code)


def _event(chosen: Namespace) -> tuple[object, str]:
    """Return the payload, and where it is from."""
    if chosen.event is None:
        return (None, "") if chosen.sample else ({}, "{}")
    if chosen.event.lstrip().startswith(("{", "[")):
        text, name = chosen.event, "event"
    elif chosen.event == "-":
        text, name = sys.stdin.read(), "standard input"
    else:
        file = Path(chosen.event)
        try:
            text, name = file.read_text(encoding="utf-8"), file.name
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"the event {chosen.event} cannot be read: {error}. Type a file of JSON, or -") from None
    try:
        return json.loads(text), name
    except ValueError as error:
        where = "the event" if text is chosen.event else f"the event in {name}"
        raise Unusable(f"{where} is not JSON: {error}") from None


def _checked_sample(wanted: str) -> None:
    try:
        samples.sample(wanted)
    except samples.UnknownSample as error:
        raise Unusable(str(error)) from None


def seconds(text: str, example: str) -> float:
    """Return a duration: 2s, 500ms, 1m, or a number of seconds. Raises Unusable with the `example`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)?", text.strip())
    if found is None:
        raise Unusable(f"{text!r} is not a duration: type it as in {example}, or 500ms")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}[found[2]]


def _signal(text: str | None, option: str) -> Signal | None:
    """Return what the option asks for: None if it is not there, "" for the end, or after=1s."""
    if text is None:
        return None
    if not text:
        return Signal(None)
    name, _, value = text.partition("=")
    if name != "after" or not value:
        raise Unusable(f"{option} {text!r}: type {option} after=1s, or {option} alone for the end of the run")
    return Signal(seconds(value, f"{option} after=1s"))


def _variables(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise Unusable(f"--env {pair!r}: type NAME=VALUE")
        found[name] = value
    return found


def _whole(text: str, option: str, least: int, most: int) -> int:
    try:
        number = int(text.removesuffix("s") if option == "--timeout" else text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise Unusable(f"{option} {text!r}: type a whole number from {least} to {most}")
    return number


def shell() -> dict[str, str]:
    """Return what a function gets of this shell's environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith(UNUSED)}


def other_decorator(code: Path, handler: str) -> str | None:
    """Return the package's decorator for another host than Lambda that a handler has, if any."""
    module, _, name = handler.rpartition(".")
    try:
        file = code / f"{module.replace('.', '/')}.py"
        found = handler_of(parse(file, text_of(file)), name)
    except (OSError, ValueError):
        return None
    for wrapper in found.wrappers if found else ():
        package, _, last = wrapper.name.rpartition(".")
        if package.startswith("zespan_serverless") and last.startswith("zespan_") and last != "zespan_lambda":
            return last
    return None
