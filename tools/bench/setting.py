"""What all parts of the comparison share: the stand-ins, the subjects, and how many rounds are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from .instance import Instance
from .standins import Destination, StandIns
from .subjects import BARE, SUBJECTS

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    standins: StandIns
    certificate: Path  # of the authority that the TLS backends' certificate is from
    names: tuple[str, ...]
    scale: float = 1.0  # of the rounds: 0.1 only shows that everything works

    def rounds(self, usual: int, least: int = 2) -> int:
        """Return how many rounds to make where a whole run makes so many."""
        return max(least, round(usual * self.scale))

    def only(self, names: Sequence[str]) -> Setting:
        """Return a setting with those of the subjects that are among the names."""
        return replace(self, names=tuple(name for name in self.names if name in names or name == BARE))

    def instance(self, name: str, destination: Destination | None = None, **options: Any) -> Instance:
        """Start an instance of a subject, by default with a backend of its own that is 30 ms away."""
        return Instance(SUBJECTS[name], self.standins, destination or self.standins.backend(), **options)

    def shuffled(self) -> list[str]:
        """Return the subjects in a random order, so that none always follows the same one."""
        return random.sample(self.names, len(self.names))

    def side_by_side(self, measure: Callable[[str], T], workers: int = 12) -> dict[str, T]:
        """Measure all subjects at the same time: for parts that wait, and count events rather than milliseconds."""
        with ThreadPoolExecutor(workers) as pool:
            return dict(zip(self.names, pool.map(measure, self.names), strict=True))


Part = Callable[[Setting], Mapping[str, Any]]
"""Measures, and returns the results, which are made into JSON."""
