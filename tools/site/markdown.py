"""Converts Markdown as GitHub reads it to Markdown as the site generator reads it: groups of tabs, and lists.

Python-Markdown needs list items that are indented by four columns, and an empty line before a list. The pages are
written as usual: the content of an item is indented as far as its first word.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt

_CODE = re.compile(
    r"(^[ ]*(?P<fence>`{3,}|~{3,}).*?^[ ]*(?P=fence)[^\n]*$|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))",
    re.MULTILINE | re.DOTALL,
)
_TABS = re.compile(r"^<!-- tabs -->\n(?P<content>.*?)^<!-- /tabs -->$", re.MULTILINE | re.DOTALL)
_MARKS = re.compile(r"^<!-- /?tabs -->\n+", re.MULTILINE)
_MARKER = re.compile(r"^(?P<indent>\s*)(?P<marker>(?:[*+-]|\d+[.)])\s+)")


class WrongTabs(ValueError):
    """A group of tabs is not written as it must be; says what to write instead."""


def prose(text: str, change: Callable[[str], str]) -> str:
    """Apply a function to all parts of a page that are not code."""
    parts, last = [], 0
    for code in _CODE.finditer(text):
        parts += [change(text[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*parts, change(text[last:])])


def staged(text: str) -> str:
    """Return a page as the site generator reads it."""
    return tabs(lists(text))


def without_marks(text: str) -> str:
    """Return a page with groups of tabs as plain sections, as GitHub shows them."""
    return _MARKS.sub("", text)


def tabs(text: str) -> str:
    """Turn each group of sections between `<!-- tabs -->` and `<!-- /tabs -->` into tabs."""
    changed = _TABS.sub(lambda group: _group(group["content"]), text)
    if left := _MARKS.search(changed):
        raise WrongTabs(
            f"{left[0].strip()} has no counterpart: write <!-- tabs --> before, <!-- /tabs --> after a group"
        )
    return changed


def lists(text: str) -> str:
    """Indent the content of list items by four columns, and put an empty line before lists."""
    lines = text.split("\n")
    depth, columns, before = [0] * len(lines), [0] * len(lines), set[int]()
    levels = 0
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type.endswith("_list_open") and token.map:
            if not levels and token.map[0] and lines[token.map[0] - 1].strip():
                before.add(token.map[0])
            levels += 1
        elif token.type.endswith("_list_close"):
            levels -= 1
        elif token.type == "list_item_open" and token.map:
            marker = _MARKER.match(lines[token.map[0]][columns[token.map[0]] :])
            column = columns[token.map[0]] + len(marker[0] if marker else "")
            for number in range(*token.map):
                depth[number], columns[number] = levels, column
    return "\n".join(_indented(line, depth[i], columns[i], i in before) for i, line in enumerate(lines))


def _indented(line: str, depth: int, column: int, is_first: bool) -> str:
    if not depth or not line.strip():
        return line
    own = len(line) - len(line.lstrip())
    if own >= column:
        return " " * (4 * depth + own - column) + line.lstrip()
    if marker := _MARKER.match(line):
        return (
            ("\n" if is_first else "")
            + " " * (4 * (depth - 1))
            + f"{marker['marker'].strip():<4}"
            + line[marker.end() :]
        )
    return " " * (4 * depth) + line.lstrip()  # a lazy continuation of a paragraph


def _group(content: str) -> str:
    """Return the sections of one group as tabs. The level of its first heading is that of all tabs."""
    heading = re.match(r"\s*(?P<level>#+) ", content)
    if heading is None:
        raise WrongTabs(f"a group of tabs begins with a heading, not with {content.strip()[:60]!r}")
    tab = re.compile(rf"^{heading['level']} (?P<name>.+)$")
    lines, is_code = [], False
    for line in content.strip("\n").split("\n"):
        is_code ^= line.lstrip().startswith(("```", "~~~"))
        if not is_code and (found := tab.match(line)):
            lines.append(f'=== "{found["name"].replace(chr(34), "")}"')
        else:
            lines.append(f"    {line}" if line.strip() else "")
    return "\n".join(lines).rstrip() + "\n"
