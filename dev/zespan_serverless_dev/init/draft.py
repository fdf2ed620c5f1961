"""The planned changes of a project, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .text import Form, NotEditable, load


@dataclass(frozen=True)
class Change:
    """One file: its bytes before, None if it is new, and after."""

    file: Path
    before: bytes | None
    after: bytes


@dataclass
class _File:
    text: str
    form: Form
    before: bytes | None
    first: str


@dataclass
class Draft:
    """The changed texts of a project's files, and what is left to the user."""

    root: Path
    requirement: str
    notes: list[str] = field(default_factory=list)
    traced: list[str] = field(default_factory=list)  # what gets the decorator or the middleware
    edits: int = 0  # changes of texts so far
    _files: dict[Path, _File] = field(default_factory=dict)

    def text(self, file: Path) -> str:
        """Return a file's text with the changes so far, with plain newlines. Raises NotEditable."""
        return self._opened(file).text

    def set(self, file: Path, text: str) -> None:
        """Give a file another text. A file that does not exist is made."""
        real = file.resolve()
        if not real.exists() and real not in self._files:
            self._files[real] = _File("", Form(), None, "")
        opened = self._opened(file)
        self.edits += text != opened.text
        opened.text = text

    def edit(self, file: Path, change: Callable[[str], str], otherwise: str = "") -> bool:
        """Let `change` make a new text; if it raises NotEditable, note what the user has to do instead."""
        try:
            self.set(file, change(self.text(file)))
        except NotEditable as error:
            self.note(f"{self.shown(file)}: {error}" + (f". {otherwise}" if otherwise else ""))
            return False
        return True

    def note(self, text: str) -> None:
        """Record once what is left to the user."""
        if text not in self.notes:
            self.notes.append(text)

    def shown(self, file: Path) -> str:
        """Return a file as the diff names it: from the project's folder on."""
        try:
            return file.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return file.as_posix()

    def changes(self) -> list[Change]:
        """Return every file whose text is another one now."""
        return [
            Change(file, each.before, each.form.encoded(each.text))
            for file, each in sorted(self._files.items())
            if each.text != each.first
        ]

    def _opened(self, file: Path) -> _File:
        real = file.resolve()
        if not real.is_relative_to(self.root.resolve()):
            raise NotEditable("it is outside of the project's folder")
        if real not in self._files:
            text, form, before = load(real)
            self._files[real] = _File(text, form, before, text)
        return self._files[real]
