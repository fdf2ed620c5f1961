"""A part of a long list."""

from __future__ import annotations

from dataclasses import dataclass

ROWS_MAX = 500


@dataclass
class Page:
    """`limit` rows from the row `offset` on. `until` is what an earlier page has answered by this name: rows that have
    been added since do not move the others. 0 is the newest.
    """

    offset: int = 0
    limit: int = 100
    until: int = 0
