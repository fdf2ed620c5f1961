"""Reads along in the streams of the raw clients: context managers whose response has a generator of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from .._sending import Within
from .._stream import follow_generator

if TYPE_CHECKING:
    from .._call import ModelCall


class Entering:
    """In place of a context manager of the SDK, synchronous or not: what it gives has our generator of events."""

    def __init__(self, call: ModelCall, theirs: Any) -> None:
        self._call, self._theirs = call, theirs

    def __enter__(self) -> Any:
        try:
            with Within(self._call.attempts):
                response = self._theirs.__enter__()
        except BaseException as error:
            self._call.end(None, error)
            raise
        self._follow(response)
        return response

    def __exit__(self, *problem: Any) -> Any:
        return self._theirs.__exit__(*problem)

    async def __aenter__(self) -> Any:
        try:
            with Within(self._call.attempts):
                response = await self._theirs.__aenter__()
        except BaseException as error:
            self._call.end(None, error)
            raise
        self._follow(response)
        return response

    async def __aexit__(self, *problem: Any) -> Any:
        return await self._theirs.__aexit__(*problem)

    def _follow(self, response: Any) -> None:
        with Guarded("a stream"):
            response._data = follow_generator(self._call, response._data)
