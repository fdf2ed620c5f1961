"""Pages that show a file or a folder of the repository, for links to it while the repository has no public address."""

from __future__ import annotations

import re
from pathlib import Path

from .pages import Page

_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".tf": "terraform"}


class FilePages:
    """The pages that have been asked for, by the path of what they show."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.made: dict[str, Page] = {}

    def page(self, source: str) -> Page:
        """Return the page that shows a file, or the list of a folder's files."""
        if source not in self.made:
            path = self._root / source
            description = f"{source}, a {'folder' if path.is_dir() else 'file'} of the repository"
            target = f"files/{source}/index.md" if path.is_dir() else f"files/{source.replace('.', '-')}.md"
            text = self._folder(path, source) if path.is_dir() else _file(path, source)
            self.made[source] = Page("", target, text, description, is_searched=False)
        return self.made[source]

    def _folder(self, path: Path, source: str) -> str:
        lines = []
        for inside in sorted(path.rglob("*")):
            name = inside.relative_to(path).as_posix()
            if inside.is_file() and not re.search(r"(^|/)(\.|__pycache__)|\.(pyc|zip)$", name):
                shown = self.page(f"{source}/{name}").target.removeprefix(f"files/{source}/")
                lines.append(f"* [{name}]({shown})")
        return f"# {source}\n\n" + "\n".join(lines) + "\n"


def _file(path: Path, source: str) -> str:
    text = path.read_text()
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall(r"`{3,}", text)), 0)
    return f"# {source}\n\n{fence}{_LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
