"""The interface between the core and a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._record.invocation import COLD, NO_RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Generic, Protocol, TypeVar

    from .._record.invocation import ColdStart, Invocation, Result

    Request = TypeVar("Request")

    class Reads(Generic[Request]):
        """Generic base class, by what it reads."""

    class Scope(Protocol):
        """One call of a function as an invocation: `begin`, one of the three ends, and always `leave`.

        Each end has an asynchronous form that leaves the event loop free.
        """

        def begin(self) -> None: ...
        def returned(self, result: Any) -> Any:
            """Return what the caller gets. The function has returned `result`."""

        def raised(self, error: BaseException) -> None:
            """Handle an exception of the function."""

        def closed(self) -> None:
            """Handle a generator that was closed before it was exhausted."""

        def leave_context(self) -> None:
            """Make current again what was current before `begin`."""

        def leave(self) -> None:
            """End what an exception of a signal handler has kept from ending."""

        async def returned_async(self, result: Any) -> Any: ...
        async def raised_async(self, error: BaseException) -> None: ...
        async def closed_async(self) -> None: ...

else:
    Request = None

    class Reads:
        """Stand-in for `Generic`, because `Generic` costs a cold start more than this."""

        def __class_getitem__(cls, request):
            return cls


class Host(Reads[Request]):
    """What the core needs to know about a platform. `Request` is the type that `read` accepts.

    The defaults describe a process that is neither frozen nor killed, and not kept alive. If a method raises, the error
    is logged once, and at most the telemetry of that invocation is lost.
    """

    one_at_a_time: bool = True
    """Whether a process serves one invocation at a time, so that threads without a context belong to it."""
    may_suspend: bool = False
    """Whether the platform may suspend a process that stays alive, so that no event may follow a response."""
    reads_ahead: bool = False
    """Whether to await `read_ahead` before an `async def` function is called."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Make a request from a function's arguments. Not called on servers, which already have the request."""
        raise NotImplementedError

    async def read_ahead(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Await what `request` and `read` need."""

    def read(self, request: Request) -> Invocation | None:
        """Describe one call, or return None if it is not an invocation. Accepts any request."""
        raise NotImplementedError

    def subject(self, request: Request) -> Any:
        """Return what functions that read a user or a session are called with: the first argument of the function."""
        return request

    def scope(self, active: Any, request: Request) -> Scope:
        """Return the scope that follows a function's result. By default the invocation ends when it returns."""
        return active  # type: ignore[no-any-return]

    def resource(self) -> Mapping[str, object]:
        """Return where this process runs, as attributes of cloud and function. Called at the first invocation."""
        return {}

    def origin(self) -> ColdStart:
        """Return how this process started. Called at the first invocation."""
        return COLD

    def result(self, result: Any) -> Result:
        """Read the invocation's outcome from a function's result. Not called if a scope follows the result."""
        return NO_RESULT

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        """Prepare for a call of the function; an `end` follows.

        Call `on_record`, which writes to the journal that the invocation has begun: soon in another thread, or now.
        """
        on_record()

    def process_stays_alive(self, invocation: Invocation) -> bool:
        """Whether the process continues when this invocation has ended, so that no flush has to be waited for."""
        return False

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        """Run `flush`, if given, after the response has been sent. Return False if the host cannot."""
        return False
