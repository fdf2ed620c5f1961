"""What any host can say about one call, in nobody's dialect.

Named tuples, here and elsewhere: making a frozen dataclass takes 0.5 ms of every cold start, one of these 0.07 ms.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

StartKind = Literal["cold", "proactive", "provisioned", "snapstart", "reinit", "warm"]


class ColdStart(NamedTuple):
    """How the process that serves this invocation came up.

    `kind`: `cold` (started for this invocation), `proactive` (started ahead of it by the host on its own account),
    `provisioned` (started ahead because the user pays for that), `snapstart` (restored from a snapshot), `reinit`
    (the sandbox has had a process before: it timed out or crashed), `warm` (has served before).
    `init_ms`: process start to the end of the handler module's import, milliseconds; None if unknown or warm.
    """

    kind: StartKind
    init_ms: float | None = None


WARM = ColdStart("warm")


class Invocation(NamedTuple):
    """One call, as its host describes it.

    `remaining` gives the seconds left before the host kills it (None: no deadline known). `attributes` use
    OpenTelemetry's names where there is one. `parent` is the caller's (trace id, span id).
    """

    id: str | None
    name: str
    trigger: str
    parent: tuple[str, str] | None = None
    remaining: Callable[[], float] | None = None
    attributes: Mapping[str, object] = MappingProxyType({})
