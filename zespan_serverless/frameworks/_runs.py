"""The steps of a framework that are under way, by the ids that the framework itself gives them.

A framework's callbacks may run in another thread, task or context than what they tell of: a span that is made current
in one may never be current where the model is called. But each framework knows there which of its own steps it is in,
and is asked for that whenever a parent is wanted.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base import RESETS
from .._base.guard import Guarded
from .._observe.spans import span
from .._observe.steps import STEPS_MAX
from .._trace.context import ASKED

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS_MAX = 10_000
"""Steps of one framework that may be under way; one more ends the oldest."""


class Failure(Exception):
    """What a framework says of a step that has failed, where it has no exception to give."""


class _Run:
    """One step that is recorded."""

    def __init__(self, name: str, kind: str, fields: dict[str, Any]) -> None:
        self.step: Any = span(name, kind=kind, **fields)  # type: ignore[call-overload]
        self.span: _trace.Span = self.step.open()
        self.once = threading.Lock()  # taken when it ends

    def end(self, error: BaseException | None = None) -> None:
        """Make the record. A second call does nothing."""
        if self.once.acquire(blocking=False):
            self.span.root.open.pop(id(self), None)
            self.step.close(error)


class Runs:
    """The steps of one framework. No method raises anything, except what a signal handler raises."""

    def __init__(self, now: Callable[[], Any]) -> None:
        """`now` tells the id of the framework's step that the calling code is in; None if it is in none."""
        self._now = now
        self._runs: dict[Any, _Run] = {}
        self._skipped: dict[Any, _Run | None] = {}  # the step around one that is not recorded
        ASKED.append(self._inside)
        RESETS.extend((self._runs.clear, self._skipped.clear))

    def begin(self, key: Any, parent: Any, name: str, kind: str, **fields: Any) -> None:
        """A step has begun, inside the step `parent`, or inside whatever we are in."""
        if _process.current() is None or key in self._runs:  # a hook that is given twice tells everything twice
            return
        with Guarded("the start of a framework's step"):
            above = self._around(parent)
            here = _trace.Entered(_trace.current() if above is None else above.span)
            try:
                here.enter()
                run = _Run(name, kind, fields)
            finally:
                here.leave()
            run.span.root.open[id(run)] = partial(self.end, key)  # the invocation may end first
            self._runs[key] = run
            if len(self._runs) > RUNS_MAX:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread has changed it
                    self._runs.pop(next(iter(self._runs))).end()

    def skip(self, key: Any, parent: Any) -> None:
        """A step has begun that is not recorded: what is inside belongs to the one around it."""
        with Guarded("the start of a framework's step"):
            above = self._around(parent)
            if above is not None:
                self._skipped[key] = above
                if len(self._skipped) > RUNS_MAX:
                    with suppress(KeyError, StopIteration, RuntimeError):
                        self._skipped.pop(next(iter(self._skipped)))

    def end(
        self, key: Any, error: BaseException | str | None = None, fill: Callable[[Any], None] | None = None
    ) -> None:
        """A step has ended. `fill` adds to the target of its span what is known by now."""
        self._skipped.pop(key, None)
        run = self._runs.pop(key, None)
        if run is None:
            return
        with Guarded("what a framework says of its step"):
            if fill is not None and not run.once.locked():
                fill(run.span.step)
        with Guarded("the end of a framework's step"):
            run.end(Failure(error) if isinstance(error, str) else error)

    def knows(self, key: Any) -> bool:
        """Whether the step that has this id is under way."""
        return self._around(key) is not None

    def _around(self, key: Any) -> _Run | None:
        """The step under way that has this id, or is around the one that has it."""
        run = self._runs.get(key) or self._skipped.get(key)
        return None if run is None or run.once.locked() else run

    def _inside(self, here: _trace.Span | None) -> _trace.Span | None:
        """The innermost span: `here`, if that is inside the framework's step, else the step's."""
        if not self._runs:
            return here
        with Guarded("a framework's step"):
            run = self._around(self._now())
            if run is not None and not _is_inside(here, run.span.step):
                return run.span
        return here


def _is_inside(here: _trace.Span | None, target: object) -> bool:
    """Whether a span is inside the step that has this target, or is its own."""
    step: Any = None if here is None else here.step
    for _ in range(STEPS_MAX):
        if step is None or step is target:
            break
        step = step._around
    return step is not None and step is target
