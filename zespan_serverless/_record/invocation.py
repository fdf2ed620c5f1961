"""One call as any host describes it, independent of backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from .._trace import Caller

    StartKind = Literal["cold", "proactive", "provisioned", "snapstart", "reinit", "warm"]


class ColdStart(Value):
    """How the process that serves this invocation started.

    `kind`: `cold` (started for this invocation), `proactive` (started in advance by the host), `provisioned` (started
    in advance because the user pays for it), `snapstart` (restored from a snapshot), `reinit` (an earlier process of
    the sandbox timed out or crashed), `warm` (has served before). `init_ms`: milliseconds from process start to the end
    of the handler module's import; None if unknown or warm.
    """

    __slots__ = ("init_ms", "kind")

    def __init__(self, kind: StartKind, init_ms: float | None = None) -> None:
        self.kind = kind
        self.init_ms: float | None = init_ms


COLD = ColdStart("cold")
RESTORED = ColdStart("snapstart")
WARM = ColdStart("warm")


class Description(Value):
    """What a host knows of an invocation when it has ended.

    `attributes`: `faas.trigger` and others, with OpenTelemetry's names where they exist. `operation`: the name of the
    root event, if it differs from that of the invocation.
    """

    __slots__ = ("attributes", "operation")

    def __init__(self, attributes: Mapping[str, object], operation: str | None = None) -> None:
        self.attributes = attributes
        self.operation = operation


class Result(Value):
    """What a host reads from a function's result: more attributes, and whether the invocation has failed.

    `status` is an HTTP status code. With an `error_type` the invocation has failed, although nothing was raised. As in
    OpenTelemetry, a status from 500 on is an error; a lower one is the client's.
    """

    __slots__ = ("attributes", "error_message", "error_type", "status")

    def __init__(
        self,
        status: int | None = None,
        attributes: Mapping[str, object] | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
    ) -> None:
        if error_type is None and status is not None and status >= 500:
            error_type, error_message = str(status), f"HTTP {status}"
        self.status: int | None = status
        self.attributes: Mapping[str, object] = {} if attributes is None else attributes
        self.error_type: str | None = error_type
        self.error_message: str | None = error_message


NO_DESCRIPTION = Description({})
NO_RESULT = Result()


class Invocation(Value):
    """One call, as its host describes it.

    `parent` is the caller, or None if unknown. `remaining` returns the seconds before the host kills it (None: no
    deadline). `describe` is called after the function, so that the response does not wait for it. `is_probe` returns
    whether it is a health check, which has no event if it succeeds and nothing happens in it. `is_killed`: whether the
    process ends at the deadline, not only the invocation.
    """

    __slots__ = ("describe", "id", "is_killed", "is_probe", "name", "parent", "remaining")

    def __init__(
        self,
        id: str | None,
        name: str,
        parent: Caller | None = None,
        remaining: Callable[[], float] | None = None,
        describe: Callable[[], Description] = lambda: NO_DESCRIPTION,
        is_probe: Callable[[], bool] = bool,
        is_killed: bool = True,
    ) -> None:
        self.id: str | None = id
        self.name: str = name
        self.parent: Caller | None = parent
        self.remaining: Callable[[], float] | None = remaining
        self.describe: Callable[[], Description] = describe
        self.is_probe: Callable[[], bool] = is_probe
        self.is_killed: bool = is_killed
