"""What any host can say about one call, in nobody's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .._base import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

StartKind = Literal["cold", "proactive", "provisioned", "snapstart", "reinit", "warm"]


class ColdStart(Value):
    """How the process that serves this invocation came up.

    `kind`: `cold` (started for this invocation), `proactive` (started ahead of it by the host on its own account),
    `provisioned` (started ahead because the user pays for that), `snapstart` (restored from a snapshot), `reinit`
    (the sandbox has had a process before: it timed out or crashed), `warm` (has served before).
    `init_ms`: process start to the end of the handler module's import, milliseconds; None if unknown or warm.
    """

    __slots__ = ("init_ms", "kind")

    def __init__(
        self,
        kind: StartKind,
        init_ms: float | None = None,
    ) -> None:
        self.kind = kind
        self.init_ms = init_ms


WARM = ColdStart("warm")


class Invocation(Value):
    """One call, as its host describes it.

    `parent` is the caller's (trace id, span id), or a trace that has no span above this one. `remaining` gives the
    seconds left before the host kills it (None: no deadline known). `describe` gives `faas.trigger` and other
    attributes, by OpenTelemetry's names where there is one; it is asked when the function is done, so that the
    response does not wait for it. `is_probe`: a health check, which has no event if it succeeds and nothing happens in
    it. `is_killed`: whether the process ends at the deadline, and not just the invocation.
    """

    __slots__ = ("describe", "id", "is_killed", "is_probe", "name", "parent", "remaining")

    def __init__(
        self,
        id: str | None,
        name: str,
        parent: tuple[str, str | None] | None = None,
        remaining: Callable[[], float] | None = None,
        describe: Callable[[], Mapping[str, object]] = dict,
        is_probe: bool = False,
        is_killed: bool = True,
    ) -> None:
        self.id = id
        self.name = name
        self.parent = parent
        self.remaining = remaining
        self.describe = describe
        self.is_probe = is_probe
        self.is_killed = is_killed
