"""Makes docs/log-lines.md: the lines are found in the code of the package, `log_catalogue` explains each.

python -m tools.log_lines
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.log_catalogue import GROUPS, TEXTS
from zespan_serverless._base.log import PAGE
from zespan_serverless._delivery import notices, outages

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "zespan_serverless"
TARGET = ROOT / "docs" / "log-lines.md"
WIDTH = 120  # characters of a line
CODE_WIDTH = 76  # what a block shows at the width of a page, without scrolling
HOLE = "…"
"""Stands for what a line names: a host, a setting, an error."""

_LOGS = {"warn_once": 0, "line": 0, "log_once": 1}
"""The functions that log, each with the place of the code among its arguments; the text is the next one."""

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
"""Methods of the logger, which only the module of the log and the notices call: all others give a code."""

HEAD = f"""# Log lines

<!-- `python -m tools.log_lines` makes this page from the code and from tools/log_catalogue.py. -->

Every line that the package logs begins with `zespan-serverless:`, says what has happened, to which host, and what to
do, and ends with its section of this page:

```text
zespan-serverless: telemetry events are being dropped: unauthorized HTTP 401 from https://api.zespan.com for the key
ending in 4f2a: set ZESPAN_API_KEY to a valid one ({PAGE}dropped-unauthorized)
```

* The logger is `zespan_serverless`, the level is `WARNING` unless the line below says otherwise. A log in JSON has the
  field `zespan_code` with the name of the section; lines about events have `reason`, `events` and `detail`, too.
* A line is logged once for an episode: once when an outage begins, and once when it is over. What concerns a setting
  or a piece of code is logged once in a process.
* No line has a key or a prompt: of a key that is refused, the last four characters at most.
* The words between `#` and `)` stay the same between versions, so alarms can look for them, see
  [operations.md](operations.md#alarms).

In the texts below {HOLE} stands for what the line names.
"""


class Logged(NamedTuple):
    """One call that logs: its level, the code, and the text with `%s` and the like where something is filled in."""

    file: str
    level: str
    code: str
    text: str


def logged() -> Iterator[Logged]:
    """Yield all calls in the package that log, in the order of files."""
    for name, tree in _trees().items():
        for outer in ast.walk(tree):
            if isinstance(outer, ast.FunctionDef):
                yield from _logged_in(outer, name)


def strays() -> list[str]:
    """Calls that log without a code, as `file:line`."""
    found = []
    for name, tree in _trees().items():
        for call in _calls(tree):
            function = ast.unparse(call.func)
            if re.search(rf"(^|\.)(logger|logging)\.({'|'.join(_METHODS)})$", function):
                found.append(f"{name}: {function}")
    return found


@functools.cache
def _trees() -> dict[str, ast.Module]:
    """Return the syntax trees of the package, by file."""
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def _logged_in(function: ast.FunctionDef, file: str) -> Iterator[Logged]:
    for call in _calls(function):
        place = _LOGS.get(ast.unparse(call.func).rpartition(".")[2])
        if place is None or len(call.args) < place + 2 or file == "_base/log.py":
            continue
        level = next((ast.unparse(word.value) for word in call.keywords if word.arg == "level"), "WARNING")
        level = "WARNING or DEBUG" if level == "level" else level.rpartition(".")[2]
        (code,) = _texts(call.args[place], function)
        for text in _texts(call.args[place + 1], function):
            yield Logged(file, level, code, text)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _texts(node: ast.expr, function: ast.FunctionDef) -> list[str]:
    """Return the texts that an expression may have: a string, one with values in it, or a variable of the function."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "%s" for part in node.values)]
    assert isinstance(node, ast.Name), f"write the text as a string: {ast.unparse(node)}"
    found: list[str] = []
    for one in ast.walk(function):
        if isinstance(one, ast.Assign):
            targets, values = one.targets[0], one.value
            pairs = (
                zip(targets.elts, values.elts, strict=True)
                if isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
                else [(targets, values)]
            )
            found += [
                text
                for target, value in pairs
                if isinstance(target, ast.Name)
                and target.id == node.id
                and isinstance(value, (ast.Constant, ast.JoinedStr))
                for text in _texts(value, function)
            ]
        elif isinstance(one, ast.AugAssign) and ast.unparse(one.target) == node.id:
            found = [*found, *(text + more for text in found for more in _texts(one.value, function))]
    return found


@functools.cache
def texts() -> dict[str, list[Logged]]:
    """The lines of each code. A code that is completed at run time stands for all that the catalogue has of it."""
    codes = [code for group in GROUPS.values() for code in group]
    found: dict[str, list[Logged]] = {}
    for one in logged():
        begin, is_open, _ = one.code.partition("%s")
        if one.code == "away":
            begin, is_open = "away-", "%s"
        for code in [code for code in codes if code.startswith(begin)] if is_open else [one.code]:
            found.setdefault(code, []).append(one._replace(code=code, text=_of_code(code, one.text)))
    return found


def _of_code(code: str, text: str) -> str:
    """Return the text of a code that is completed at run time, with what that says."""
    if code.startswith("dropped-"):
        return text.replace("%s", code.removeprefix("dropped-"), 1)
    if code.startswith("away-"):
        todo = {cause: todo for _, cause, todo in (*outages._BY_STATUS, *outages._BY_TEXT)}
        advice = todo.get(code.removeprefix("away-"), outages._OTHER)
        return HOLE.join(text.split("%s")[:-1]) + advice.replace("{0}", HOLE)
    return text


def shown(text: str) -> str:
    """A text as the page has it."""
    return re.sub(r"(%(\.\d+)?[srd])+", HOLE, text)


def page() -> str:
    """Return the whole page."""
    lines, parts = texts(), [HEAD]
    for title, group in GROUPS.items():
        parts.append(f"\n## {title}\n")
        for code, (means, todo) in group.items():
            said = TEXTS.get(code, "").splitlines() or [*dict.fromkeys(shown(one.text) for one in lines[code])]
            if code.startswith("dropped-"):  # with the explanation, which is left out if there is nothing to explain
                said = [said[-1].replace(HOLE, notices._EXPLANATIONS.get(code.removeprefix("dropped-"), HOLE))]
            levels = " or ".join(dict.fromkeys(one.level for one in lines[code]))
            parts.append(f"\n### {code}\n\n```text\n{chr(10).join(_wrapped(line, CODE_WIDTH) for line in said)}\n```\n")
            level = "" if levels == "WARNING" else f"`{levels}`. "
            parts.append(f"\n{_wrapped(level + means)}\n\n{_wrapped(f'**What to do:** {todo}')}\n")
    return "".join(parts)


def _wrapped(text: str, width: int = WIDTH) -> str:
    return textwrap.fill(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    TARGET.write_text(page())


if __name__ == "__main__":
    main()
