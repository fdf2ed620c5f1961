"""`python -m tests.comparison` measures everything, and writes what it finds into docs/comparison.md.

`python -m tests.environments comparison` installs the other tools.
"""

from __future__ import annotations

import datetime
import platform
from concurrent.futures import ThreadPoolExecutor

from .running import column, ran, versions
from .table import COLUMNS, PAGE, merged, render, with_block


def main() -> None:
    """Write the page anew."""
    ran("nobody")
    with ThreadPoolExecutor(2) as pool:
        table = merged(*pool.map(column, COLUMNS))
    today = datetime.datetime.now(tz=datetime.UTC).date()
    page = with_block(PAGE.read_text(), "measured", render(table))
    when = f"Measured on {today} with Python {platform.python_version()}:\n\n{versions()}"
    PAGE.write_text(with_block(page, "versions", when))


if __name__ == "__main__":
    main()
