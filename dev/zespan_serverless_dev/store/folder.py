"""The folder of the runs. Nobody else may read it, and git ignores it: events have prompts.

A folder of this name may also have come with a repository. Its files would be readable for others, as git makes them,
and are left alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zespan_serverless.errors import ConfigurationError


def prepare(folder: Path) -> None:
    """Make the folder, which only its owner may read and which git ignores. Raises ConfigurationError."""
    ignore = folder / ".gitignore"
    try:
        if folder.is_symlink():
            raise ConfigurationError(f"{folder} is a link, perhaps of a repository: remove it, or use --folder")
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
        elif not any(folder.iterdir()):
            folder.chmod(0o700)
        elif not ignore.is_file() or ignore.read_text().strip() != "*":
            raise ConfigurationError(f"{folder} has other files: name a folder that is new or empty, with --folder")
        elif not is_private(folder):
            raise ConfigurationError(f"others may read {folder}, so `dev` has not made it: remove it, or use --folder")
        if not ignore.exists():
            ignore.write_text("*\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{folder} cannot be used: {error}. Name another one with --folder, or --memory"
        ) from None


def is_private(path: Path) -> bool:
    """Whether a file or a folder is this user's, and nobody else may read it. Windows has no such modes."""
    if os.name == "nt":
        return True
    about = path.lstat()
    return about.st_uid == os.getuid() and not stat.S_ISLNK(about.st_mode) and not about.st_mode & 0o077
