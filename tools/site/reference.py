"""Writes the API reference from docstrings, signatures and annotations of the public modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe

from . import signatures
from .pages import Page

PACKAGE = "zespan_serverless"
# The first modules of the menu, with descriptions. A module whose names no other page describes follows them.
MODULES = {
    PACKAGE: "Decorators, functions to call by hand, and exceptions",
    f"{PACKAGE}.types": "Types for the annotations of your own code",
    f"{PACKAGE}.asgi": "Middleware for ASGI applications",
    f"{PACKAGE}.wsgi": "Middleware for WSGI applications",
    f"{PACKAGE}.frameworks": "Callbacks and processors for agent frameworks",
    f"{PACKAGE}.opentelemetry": "Spans of OpenTelemetry as events",
    f"{PACKAGE}.powertools": "Metrics of the delivery, by AWS Lambda Powertools",
    f"{PACKAGE}.exporters": "Base class and results of custom exporters",
    f"{PACKAGE}.testing": "Recorders, contexts and backends for your tests",
}
# Users import neither: `types` contains the settings, and Lambda imports `auto`.
INTERNAL = (f"{PACKAGE}.settings", f"{PACKAGE}.aws_lambda.auto")


class Undocumented(ValueError):
    """A public name has no docstring, or no page of the reference has it."""


def pages(root: Path) -> list[Page]:
    """Return the pages of the reference; the first is its list of modules."""
    package = griffe.load(PACKAGE, search_paths=[root], try_relative_path=False)
    described: dict[str, str] = {}
    made = [_module_page(package, module, text, described) for module, text in MODULES.items()]
    made += [_module_page(package, module, text, described) for module, text in _others(package, described)]
    linked = [Page("", page.target, _with_links(page, described), page.description) for page in made]
    return [_index(linked), *linked]


def names(module: Any) -> list[str]:
    """Return the public names of a module in the order of their page: functions and decorators, then classes."""
    exports: list[Any] = module.exports or []
    if not exports or not all(isinstance(name, str) for name in exports):  # it is computed
        exports = import_module(module.path).__all__
    public = [name for name in exports if not name.startswith("_")]
    return sorted(public, key=lambda name: (module.members[name].is_class, name.lower()))


def target(module: str) -> str:
    """Return the page of a module."""
    return (
        f"api/{module.removeprefix(PACKAGE).lstrip('.').replace('.', '-').replace('_', '-') or 'zespan-serverless'}.md"
    )


def _index(made: list[Page]) -> Page:
    rows = [f"| [`{page.title}`]({page.target.removeprefix('api/')}) | {page.description} |" for page in made]
    text = (
        "# API reference\n\nEvery public name, from its docstring. Times are in seconds unless a name ends in `_ms`. "
        "The keyword arguments called `settings` are on the page of [settings](../settings.md).\n\n"
        "| Module | |\n| --- | --- |\n" + "\n".join(rows) + "\n"
    )
    return Page("", "api/index.md", text, "Every public name of zespan_serverless, from its docstring")


def _others(package: Any, described: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield further public modules that define names which are not described yet, with their first sentences."""
    for name, module in sorted(package.modules.items()):
        if name.startswith("_") or module.is_alias:
            continue
        is_listed = module.path in (*MODULES, *INTERNAL)
        own = [module.members[n] for n in names(module)] if module.exports and not is_listed else []
        if any((member.final_target if member.is_alias else member).path not in described for member in own):
            yield module.path, module.docstring.value.partition(". ")[0].partition("\n\n")[0].rstrip(".:")
        yield from _others(module, described)


def _module_page(package: Any, module: str, about: str, described: dict[str, str]) -> Page:
    path = module.removeprefix(PACKAGE).lstrip(".")
    loaded = package[path] if path else package
    parts = [f"# `{module}`\n", _docstring(loaded)]
    for name in names(loaded):
        member = loaded.members[name]
        member = member.final_target if member.is_alias else member
        if member.path in described:
            parts.append(f"## `{name}`\n\nSee [`{name}`]({described[member.path]}).\n")
            continue
        described[member.path] = f"{target(module).removeprefix('api/')}#{name.lower()}"
        parts.append(_object(name, member))
    return Page("", target(module), "\n".join(filter(None, parts)), about)


def _object(name: str, member: Any) -> str:
    if not member.docstring:
        raise Undocumented(f"{member.path} is public and has no docstring")
    parts = [f"## `{name}`\n", _code(signatures.of(name, member)), _docstring(member)]
    if any(
        "SettingsKwargs" in str(p.annotation)
        for f in [member, *(signatures.overloads(member))]
        for p in signatures.parameters(f)
    ):
        parts.append("Settings: any of the [settings](../settings.md), as keyword arguments.\n")
    if member.is_class:
        parts += [_attributes(member), *_methods(name, member)]
    return "\n".join(filter(None, parts))


def _attributes(cls: Any) -> str:
    """Return the fields with docstrings of a class: those of a TypedDict, and attributes."""
    lines = []
    for name, field in cls.all_members.items():
        if field.is_attribute and not name.startswith("_") and field.docstring and not isinstance(field, griffe.Alias):
            annotation = f": `{field.annotation}`" if field.annotation else ""
            text = " ".join(field.docstring.value.split()).removeprefix("* ")
            lines.append(f"* **`{name}`**{annotation}  \n  {text}")
    return "\n".join(lines) + "\n" if lines else ""


def _methods(name: str, cls: Any) -> list[str]:
    parts = []
    for method, function in cls.all_members.items():
        function = function.final_target if function.is_alias else function
        if function.is_function and not method.startswith("_") and function.docstring:
            parts += [f"### `{name}.{method}`\n", _code(signatures.of(method, function)), _docstring(function)]
    return parts


def _docstring(member: Any) -> str:
    """Return a docstring as Markdown. Its sections have the headings of Google's style."""
    if not member.docstring:
        return ""
    parts = []
    for section in member.docstring.parse("google", warnings=False):
        match section.kind.value:
            case "text":
                parts.append(_examples(section.value))
            case "attributes" | "parameters" | "raises" as kind:
                rows = [_item(item) for item in section.value]
                parts.append(f"**{kind.capitalize()}**\n\n" + "\n".join(rows) + "\n")
            case "admonition":
                parts.append(f"**{section.title}**\n\n{section.value.description}\n")
            case "returns":
                parts.append("**Returns** " + " ".join(item.description for item in section.value) + "\n")
            case kind:
                raise Undocumented(f"{member.path} has a section {kind}, which the API reference does not know")
    return "\n".join(parts)


def _item(item: Any) -> str:
    """One name with its type and its text; lines that begin with a value in backticks are a list of their own."""
    name, annotation = getattr(item, "name", None), item.annotation
    text, *choices = re.split(r"(?:^|\n)(?=`[^`]+`: )", item.description)
    text = " ".join(text.split())
    if name and annotation:
        first = f"* **`{name}`**: `{annotation}`" + (f"  \n  {text}" if text else "")
    else:
        first = f"* **`{name or annotation}`**: {text}"
    return "\n".join([first, *(f"  * {' '.join(choice.split())}" for choice in choices)])


def _examples(text: str) -> str:
    """Return the text with its literal blocks (`::` and an indented block) as blocks of Python."""

    def block(found: re.Match[str]) -> str:
        code = re.sub(r"^    ", "", found["code"].strip("\n"), flags=re.MULTILINE)
        return f":\n\n```python\n{code}\n```\n\n"

    return re.sub(r"::\n\n(?P<code>(?:(?:    .*)?\n?)+)", block, text.strip() + "\n").rstrip() + "\n"


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _with_links(page: Page, described: dict[str, str]) -> str:
    """Return the text with links from names in backticks to what explains them."""
    homes = {path.rpartition(".")[2]: link for path, link in described.items()}
    own = page.target.removeprefix("api/")

    def link(found: re.Match[str]) -> str:
        home = homes.get(found["name"])
        return f"[{found[0]}]({home.removeprefix(own)})" if home else found[0]

    lines, is_code = [], False
    for line in page.text.split("\n"):
        is_code ^= line.startswith("```")
        is_plain = not is_code and not line.startswith("#")
        lines.append(re.sub(r"(?<!\[)`(?P<name>\w+)(?:\(\))?`(?!\]|\*)", link, line) if is_plain else line)
    return "\n".join(lines)
