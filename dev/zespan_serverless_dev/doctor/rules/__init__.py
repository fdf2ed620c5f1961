"""Rules: each module here defines some with `findings.rule`.

Ids are ZS0.. for the environment, ZS1.. for code, ZS2.. for AWS, and ZS3.. for other hosts.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..findings import RULES, Check, Rule


def rules() -> dict[str, tuple[Rule, Check]]:
    """Return all rules with their checks, by id."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(RULES.items()))
