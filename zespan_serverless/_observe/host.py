"""What the core asks a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._record.invocation import COLD, NO_RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Generic, Protocol, TypeVar

    from .._record.invocation import ColdStart, Invocation, Result

    Request = TypeVar("Request")

    class Reads(Generic[Request]):
        """A class that is generic in what it reads."""

    class Scope(Protocol):
        """One call of a function as an invocation: `begin`, one of the three ends, and always `leave`.

        Each end has an asynchronous form that leaves the event loop free.
        """

        def begin(self) -> None: ...
        def returned(self, result: Any) -> Any:
            """The function has returned this. Gives what the caller is to get."""

        def raised(self, error: BaseException) -> None:
            """The function has raised."""

        def closed(self) -> None:
            """The function is a generator that was closed before its end."""

        def leave_context(self) -> None:
            """Make current again what was current before `begin`."""

        def leave(self) -> None:
            """End what has not ended, because an exception of a signal handler has struck."""

        async def returned_async(self, result: Any) -> Any: ...
        async def raised_async(self, error: BaseException) -> None: ...
        async def closed_async(self) -> None: ...

else:
    Request = None

    class Reads:
        """`Generic`, which costs a cold start more than this."""

        def __class_getitem__(cls, request):
            return cls


class Host(Reads[Request]):
    """One platform's answers to the core's questions. `Request` is what `read` reads.

    The defaults are those of a process that nobody freezes, kills or keeps alive. What an answer raises is logged once
    and costs at most the telemetry of that invocation.
    """

    one_at_a_time: bool = True
    """Whether a process serves one invocation at a time. Then threads without a context belong to it."""
    reads_ahead: bool = False
    """Whether `read_ahead` is to be awaited before an `async def` function is called."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Make a request of a function's arguments. Not called where the host is a server that has the request."""
        raise NotImplementedError

    async def read_ahead(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Await what `request` and `read` need."""

    def read(self, request: Request) -> Invocation:
        """Describe one call in neutral words. Total: any request gives an Invocation."""
        raise NotImplementedError

    def subject(self, request: Request) -> Any:
        """What functions that read a user or a session are called with: what the user's function gets first."""
        return request

    def scope(self, active: Any, request: Request) -> Scope:
        """How the result of a function is followed to its end. Default: the invocation ends when it returns."""
        return active  # type: ignore[no-any-return]

    def resource(self) -> Mapping[str, object]:
        """Where this process runs: attributes of the cloud and the function. Asked at its first invocation."""
        return {}

    def origin(self) -> ColdStart:
        """How this process came up. Asked at its first invocation."""
        return COLD

    def result(self, result: Any) -> Result:
        """Read from a function's result how the invocation went. Not called where a scope follows the result."""
        return NO_RESULT

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        """The function is about to be called; an `end` will follow.

        Call `on_record`, which writes to the journal that the invocation has begun: in another thread soon, if there
        is one, else now.
        """
        on_record()

    def process_stays_alive(self, invocation: Invocation) -> bool:
        """Whether the process goes on when this invocation is over. Then nobody waits for a flush."""
        return False

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        """The function is done. Run `flush`, if there is one, when the response is on its way; False if you cannot."""
        return False
