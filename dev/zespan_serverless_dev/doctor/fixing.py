"""`--fix` and `--diff`: the edits that findings offer, as a diff, and in the files."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .findings import Edit, Finding
from .readers.files import text_of
from .reports._common import shown

_ODD_BREAK = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""Line separators that not all readers count: a file that contains one is not edited by line number."""


_KEY = re.compile(
    r"""\b\w*(?:KEY|SECRET|TOKEN|PASSWORD|HEADERS|DSN)["']?"""
    r"""(?:\s*[:=]\s*|[ \t]+|,?\s+["']?value["']?\s*[:=]\s*)["']*(?!ssm:|arn:|[!${])([^\s"']{8,})"""
    r"""|://[^/\s:@]*:([^/\s@]+)(?=@)""",
    re.IGNORECASE,
)
"""A value with a name like a key's, in all formats, and a password in a URL."""


class Unchanged(OSError):
    """A file that could not be changed. Says why."""


def applied(findings: Iterable[Finding], still_readable: Callable[[Path], bool]) -> Iterator[str]:
    """Write the edits of findings into the files, and yield the diff of each, or why it is unchanged."""
    for file, text in sorted(planned(findings).items()):
        before, told = _text(file), diff({file: text})
        try:
            write(file, text)
            if not still_readable(file):
                write(file, before)
                told = f"{shown(file)} stays as it was: the edit would make it unreadable"
        except Unchanged as error:
            told = str(error)
        yield told


def planned(findings: Iterable[Finding]) -> dict[Path, str]:
    """Return the files that the edits of findings change, with new texts. Of overlapping edits the first applies."""
    edits: defaultdict[Path, list[Edit]] = defaultdict(list)
    for finding in findings:
        if finding.edit is not None:
            edits[finding.edit.place.file].append(finding.edit)
    found = {file: changed(_text(file), of_file) for file, of_file in edits.items()}
    return {file: text for file, text in found.items() if text != _text(file)}


def changed(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits applied, the last one first, so that other line numbers stay valid."""
    lines = text.splitlines(keepends=True)
    if _ODD_BREAK.search(text):
        return text
    above = len(lines) + 1
    for edit in sorted(edits, key=lambda edit: edit.first, reverse=True):
        if edit.last >= above or not 1 <= edit.first <= edit.last:
            continue
        ended = lines[edit.last - 1]
        end = ended[len(ended.rstrip("\r\n")) :] or "\n"
        lines[edit.first - 1 : edit.last] = [f"{line}{end}" for line in edit.lines]
        above = edit.first
    return "".join(lines)


def diff(files: dict[Path, str]) -> str:
    """Return the changes in the format of `patch`, with possible keys replaced by ***."""
    parts: list[str] = []
    for file, text in sorted(files.items()):
        before = [line.rstrip("\r\n") for line in _text(file).splitlines()]
        after = [line.rstrip("\r\n") for line in text.splitlines()]
        lines = difflib.unified_diff(before, after, f"a/{shown(file)}", f"b/{shown(file)}", lineterm="")
        parts += _without_keys(lines, _text(file) + text)
    return "\n".join(parts)


def _without_keys(lines: Iterable[str], text: str) -> Iterator[str]:
    """Lines with *** in place of each value that is a key somewhere in the text: its name may be wrong elsewhere."""
    keys = keys_in(text)
    for line in lines:
        for key in sorted(keys, key=len, reverse=True):
            line = line.replace(key, "***")
        yield line


def keys_in(text: str) -> set[str]:
    """Return possible keys in the text of a file."""
    return {value for found in _KEY.finditer(text) for value in found.groups() if value}


def write(file: Path, text: str) -> None:
    """Replace a file's text at once, and keep its permissions. Raises Unchanged."""
    real = file.resolve()
    try:
        descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(text.encode())
            Path(name).chmod(stat.S_IMODE(real.stat().st_mode))
            Path(name).replace(real)
        except OSError:
            Path(name).unlink()
            raise
    except OSError as error:
        raise Unchanged(f"{shown(file)} cannot be changed: {error.strerror}") from None


def _text(file: Path) -> str:
    """Return a file's text with its own line endings; empty if it cannot be read."""
    try:
        text_of(file)
        return file.read_bytes().decode()
    except (OSError, ValueError):
        return ""
