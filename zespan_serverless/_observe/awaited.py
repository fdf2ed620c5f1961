"""Functions that are not `async def`, and return a coroutine nevertheless, on platforms that await it."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded

if TYPE_CHECKING:
    from .active import ActiveInvocation


class Awaited:
    """The scope of such a function: its invocation ends when the coroutine has been awaited."""

    def __init__(self, active: ActiveInvocation) -> None:
        self.active = active
        self._goes_on = False
        self._here: _trace.Entered | None = None
        self.begin, self.leave_context = active.begin, active.leave_context
        self.raised, self.raised_async = active.raised, active.raised_async
        self.closed, self.closed_async = active.closed, active.closed_async
        self.returned_async = active.returned_async

    def returned(self, result: Any) -> Any:
        if type(result) is not CoroutineType:
            return self.active.returned(result)
        self.active.leave_context()
        self._goes_on = True
        return self._rest(result)

    def leave(self) -> None:
        if not self._goes_on:
            self.active.leave()

    async def _rest(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        try:
            with Guarded("the start of a coroutine"):
                self._here = _trace.Entered(self.active.span, shared=self.active.host.one_at_a_time)
                self._here.enter()
            result = await coroutine
        except BaseException as error:
            self._leave()
            await self.active.raised_async(error)
            raise
        else:
            self._leave()
            return await self.active.returned_async(result)
        finally:
            self._leave()
            self.active.leave()

    def _leave(self) -> None:
        with Guarded("the end of a coroutine"):
            if self._here is not None:
                self._here.leave()
