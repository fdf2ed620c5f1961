"""Shows a draft as a diff that `patch` takes, and writes it: all of its files, or none."""

from __future__ import annotations

import difflib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..doctor.fixing import keys_in
from .draft import Change, Draft

_CONTEXT = 3


class Refused(Exception):
    """Nothing was written. Says why, and what to do."""


def diff(draft: Draft) -> str:
    """Return all changes as a unified diff with the project's own line endings, which `patch -p1` can apply.

    Lines around a change are left out if one of them has what may be a key; in a changed line it is shown as ***.
    """
    return "".join(line for change in draft.changes() for line in _diff(draft.shown(change.file), change))


def _diff(name: str, change: Change) -> Iterator[str]:
    before, after = (change.before or b"").decode(), change.after.decode()
    keys = keys_in(before + after)
    found: list[str] = []
    for context in range(_CONTEXT, -1, -1):
        source = f"a/{name}" if change.before is not None else "/dev/null"
        lines = difflib.unified_diff(_lines(before), _lines(after), source, f"b/{name}", n=context)
        found = list(lines)
        if not any(key in line for key in keys for line in found):
            break
    for line in found:
        for key in keys:  # only in a line that is itself changed
            line = line.replace(key, "***")
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split a text into lines with their endings; only a newline ends one, as in `patch`."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.split("\n")[-1]) else [])


def write(changes: Sequence[Change], *, allow_dirty: bool) -> None:
    """Write all changes; if one cannot be written, none is. Raises Refused."""
    dirty = (
        [] if allow_dirty else [change.file for change in changes if change.before is not None and _is_dirty(change)]
    )
    if dirty:
        names = ", ".join(str(file) for file in dirty)
        raise Refused(f"git has no copy of your changes in {names}: commit them first, or add --allow-dirty")
    for change in changes:
        if _bytes(change.file) != change.before:
            raise Refused(f"{change.file} has just been changed by another program: run the command again")
    for index, change in enumerate(changes):
        try:
            _replace(change.file, change.after)
        except OSError as error:
            for done in reversed(changes[:index]):
                _undo(done)
            raise Refused(f"{change.file} cannot be written ({error.strerror}), so no file was changed") from None


def _is_dirty(change: Change) -> bool:
    """Whether git tracks a file, and the file is not as it was committed."""
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", change.file.name]
    try:
        done = subprocess.run(command, cwd=change.file.parent, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def _replace(file: Path, content: bytes) -> None:
    """Replace a file at once, or make it; an existing one keeps its permissions."""
    real = file.resolve()
    descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        temporary.chmod(stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o644)
        temporary.replace(real)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _undo(change: Change) -> None:
    if change.before is None:
        change.file.unlink(missing_ok=True)
    else:
        _replace(change.file, change.before)


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
