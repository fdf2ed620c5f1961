"""A job of RQ."""

from __future__ import annotations

from tests.figures import subject

subject.start()


def work() -> None:
    subject.ask()
