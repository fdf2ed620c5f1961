"""Prose follows docs/style.md as far as a program can check it: phrases to avoid, and the form of public docstrings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import zespan_serverless

ROOT = Path(__file__).parents[1]

# Each phrase, and what to write instead.
PHRASES = {
    r"\bcalls? of (a |the |its )?models?\b": "model call",
    r"\bcalls? of (a |the |its )?tools?\b": "tool call",
    r"(?<!these functions are )\b(is|are|of|to|with|than|like|all|one|two) (ours|theirs)\b": "name the owner",
    r"(?<!instead )\bof yours\b": "your ...",
    r"\bof the users?'s?(?= *[,.;:)]|$)": "the user's ...",
    r"\bwhat it comes to\b": "say the subject",
    r"\bis to be told\b": "is logged, is reported",
    r"\bof (its|their) own accord\b": "automatically",
    r"\bfor want of\b": "because there is no ...",
    r"\bwhoever\b": "name the caller",
    r"\b(?:is|be|been|was) away\b": "unavailable, unreachable",
    r"\bnothing of (ours|us)\b": "nothing of this package",
    r"\bit is said\b": "it is logged",
    r"\bas (it|they) (has|have) it\b": "as ... defines it",
    r"\bin peace\b": "say what ends, and how",
    r"\bwhat an event has\b": "what an event contains",
}

# Parts whose prose has been rewritten. A part that is added here stays clean.
PARTS = ("deploy", "dev", "examples", "tests", "tools", "zespan_serverless")
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "dev/README.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "style.md"),  # which quotes the phrases
    *sorted((ROOT / "deploy").rglob("*.md")),
]


ANY = re.compile("|".join(PHRASES), re.IGNORECASE)


def joined(text: str) -> str:
    """Return a text as one line, without the marks of comments in it."""
    return " ".join(re.sub(r"\n\s*#", "\n", text).split())


def prose_of(text: str, is_code: bool) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each piece of prose: paragraphs, docstrings, comments, messages."""
    if is_code:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield node.lineno, node.value
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
        return
    # Blocks of code become empty lines, so that the numbers of the lines stay right.
    text = re.sub(r"^```.*?^```", lambda block: "\n" * block.group().count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    line = 1
    for paragraph in text.split("\n\n"):
        yield line, re.sub(r"`[^`]*`", "`code`", paragraph)
        line += paragraph.count("\n") + 2


def faults(name: str, text: str) -> list[str]:
    """Return each use of a phrase to avoid, with its line and what to write instead."""
    if not ANY.search(joined(text)):  # parsing takes a hundred times as long, and few files have such a phrase
        return []
    return [
        f"{name}:{line}: {found.group()!r}, better: {better}"
        for line, prose in prose_of(text, name.endswith(".py"))
        for phrase, better in PHRASES.items()
        for found in re.finditer(phrase, joined(prose), re.IGNORECASE)
    ]


def faults_in(files: Iterable[Path]) -> list[str]:
    return [fault for file in files for fault in faults(file.relative_to(ROOT).as_posix(), file.read_text())]


def test_pages_avoid_the_phrases_of_the_style_guide() -> None:
    """No page contains a phrase for which docs/style.md has a standard term."""
    assert faults_in(PAGES) == []


@pytest.mark.parametrize("part", PARTS)
def test_code_avoids_the_phrases_of_the_style_guide(part: str) -> None:
    """No docstring, comment or message contains a phrase for which docs/style.md has a standard term."""
    assert faults_in(file for file in sorted((ROOT / part).rglob("*.py")) if file != Path(__file__)) == []


def test_the_check_reads_all_kinds_of_prose() -> None:
    """It finds phrases in docstrings, comments and messages, across lines, and on pages outside code."""
    code = '"""Counts the calls of\n    models."""\nx = 1  # for want of time\nraise ValueError(f"{x} whoever calls")\n'
    assert [fault.split(", better")[0] for fault in faults("a.py", code)] == [
        "a.py:1: 'calls of models'",
        "a.py:4: 'whoever'",
        "a.py:3: 'for want of'",
    ]
    page = "First.\n\n```text\nwhoever\n```\n\nWrite `whoever` for\nwant of words.\n"
    assert faults("a.md", page) == ["a.md:7: 'for want of', better: because there is no ..."]


def test_public_docstrings_are_sentences() -> None:
    """Each begins with a capital or a name, and its first paragraph ends with a period or a colon."""
    public = {name: getattr(zespan_serverless, name) for name in dir(zespan_serverless) if not name.startswith("_")}
    first = {name: (one.__doc__ or "").strip().split("\n\n")[0] for name, one in public.items() if callable(one)}
    assert len(first) > 20
    assert {name: text for name, text in first.items() if not re.fullmatch(r"[A-Z`].*[.:]", text, re.DOTALL)} == {}


# The beginning of a noun phrase or a pronoun, which is a class's or a property's docstring, not a function's.
NOUN = re.compile(r"(A|All|An|Each|Every|Have|It|Of|One|Seconds|That|The|They|This|Those|What|Which|Who)\b")


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    """Only properties and classes are described by a noun phrase."""
    wrong = []
    for file in (*(ROOT / "zespan_serverless").rglob("*.py"), *(ROOT / "dev").rglob("*.py")):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith(("__", "test_")):
                continue
            is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
            text = ast.get_docstring(node)
            if text and not is_property and NOUN.match(text):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {text.splitlines()[0]}")
    assert wrong == []


def test_sections_of_docstrings_keep_their_lines() -> None:
    """`Args:` and `Attributes:` stand alone on their line: a wrapper that joins lines makes one paragraph of a list."""
    joined = re.compile(r"^ *(Args|Attributes|Raises|Returns): .*$", re.MULTILINE)
    files = [*(ROOT / "zespan_serverless").rglob("*.py"), *(ROOT / "dev").rglob("*.py")]
    assert {file.name: found.group() for file in files if (found := joined.search(file.read_text()))} == {}
