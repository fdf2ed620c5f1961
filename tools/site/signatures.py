"""Signatures as the API reference shows them: one line, or a line for each parameter if that is too long."""

from __future__ import annotations

from typing import Any

WIDTH = 80  # columns of a block of code on the site
_INTERNAL_BASES = ("Value",)  # of what reports have in common


def of(name: str, member: Any) -> str:
    """Return the signature of a function with its overloads, of a class as it is called, or of a value."""
    if member.is_class:
        return _class(name, member)
    if member.is_attribute:
        return f"{name}: {member.annotation}" if member.annotation else f"{name} = {member.value}"
    shown = overloads(member) or [member]
    decorators = [
        f"@{d.value}\n" for d in member.decorators if str(d.value) in ("classmethod", "property", "staticmethod")
    ]
    return "\n".join("".join(decorators) + _function(_prefix(member) + name, function) for function in shown)


def overloads(member: Any) -> list[Any]:
    """Return the overloads of a function, if it has any."""
    return list(getattr(member, "overloads", None) or []) if member.is_function else []


def parameters(member: Any) -> list[Any]:
    """Return the parameters of a function, or of the constructor of a class, without `self`."""
    function = member.all_members.get("__init__") if member.is_class else member
    found = function.parameters if function is not None and function.is_function else []
    return [parameter for parameter in found if parameter.name not in ("self", "cls")]


def _prefix(member: Any) -> str:
    return "async def " if "async" in member.labels else "def "


def _class(name: str, cls: Any) -> str:
    bases = [base for base in map(str, cls.bases) if not base.split("[")[0].rpartition(".")[2].startswith("_")]
    bases = [base for base in bases if base not in _INTERNAL_BASES]
    if bases or not parameters(cls):
        return f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    return _wrapped(f"class {name}", _listed(parameters(cls)), "")


def _function(name: str, function: Any) -> str:
    returns = f" -> {function.returns}" if function.returns is not None else ""
    return _wrapped(name, _listed(parameters(function)), returns)


def _wrapped(before: str, listed: list[str], after: str) -> str:
    line = f"{before}({', '.join(listed)}){after}"
    if len(line) <= WIDTH:
        return line
    return f"{before}(\n" + "".join(f"    {parameter},\n" for parameter in listed) + f"){after}"


def _listed(found: list[Any]) -> list[str]:
    """Return the parameters, with `/` and `*` where they are written in Python."""
    listed: list[str] = []
    kinds = [parameter.kind.value for parameter in found]
    for number, parameter in enumerate(found):
        kind = kinds[number]
        if kind == "keyword-only" and not {"keyword-only", "variadic positional"} & {*kinds[:number]}:
            listed.append("*")
        listed.append(_parameter(parameter))
        if kind == "positional-only" and "positional-only" not in kinds[number + 1 :]:
            listed.append("/")
    return listed


def _parameter(parameter: Any) -> str:
    stars = {"variadic positional": "*", "variadic keyword": "**"}.get(parameter.kind.value, "")
    annotation = f": {parameter.annotation}".replace("_settings.", "") if parameter.annotation is not None else ""
    if parameter.default is None or stars:
        return f"{stars}{parameter.name}{annotation}"
    equals = " = " if annotation else "="
    return f"{parameter.name}{annotation}{equals}{parameter.default}"
