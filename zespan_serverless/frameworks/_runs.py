"""The current steps of a framework, by the framework's own ids.

A framework's callbacks may run in another thread, task or context than the work that they report: a span that a
callback makes current may never be current where the model is called. But each framework knows there which of its own
steps is active, and is asked whenever a parent is needed.
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
"""Maximum number of current steps of one framework; one more ends the oldest."""


class Failure(Exception):
    """A framework's description of a failed step, if there is no exception."""


class _Run:
    """One step that is recorded."""

    def __init__(self, name: str, kind: str, fields: dict[str, Any]) -> None:
        self.step: Any = span(name, kind=kind, **fields)  # type: ignore[call-overload]
        self.span: _trace.Span = self.step.open()
        self.once = threading.Lock()  # taken at its end

    def end(self, error: BaseException | None = None) -> None:
        """Make the record. A second call does nothing."""
        if self.once.acquire(blocking=False):
            self.span.root.open.pop(id(self), None)
            self.step.close(error)


class Runs:
    """The steps of one framework. No method raises, except what a signal handler raises."""

    def __init__(self, now: Callable[[], Any]) -> None:
        """`now` returns the id of the framework's step that the calling code is in, or None."""
        self._now = now
        self._runs: dict[Any, _Run] = {}
        self._skipped: dict[Any, _Run | None] = {}  # the enclosing step of one that is not recorded
        ASKED.append(self._inside)
        RESETS.extend((self._runs.clear, self._skipped.clear))

    def begin(self, key: Any, parent: Any, name: str, kind: str, **fields: Any) -> None:
        """Begin a step inside the step `parent`, or inside the current span."""
        if _process.current() is None or key in self._runs:  # a hook that is registered twice reports everything twice
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
                with suppress(KeyError, StopIteration, RuntimeError):  # changed by another thread
                    self._runs.pop(next(iter(self._runs))).end()

    def skip(self, key: Any, parent: Any) -> None:
        """Begin a step that is not recorded: what is inside belongs to the enclosing one."""
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
        """End a step. `fill` adds its results to the target of its span."""
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
        """Whether the step with this id is current."""
        return self._around(key) is not None

    def _around(self, key: Any) -> _Run | None:
        """Return the current step with this id, or the one around it."""
        run = self._runs.get(key) or self._skipped.get(key)
        return None if run is None or run.once.locked() else run

    def _inside(self, here: _trace.Span | None) -> _trace.Span | None:
        """Return the innermost span: `here`, if that is inside the framework's step, otherwise the step's."""
        if not self._runs:
            return here
        with Guarded("a framework's step"):
            run = self._around(self._now())
            if run is not None and not _is_inside(here, run.span.step):
                return run.span
        return here


def _is_inside(here: _trace.Span | None, target: object) -> bool:
    """Whether a span belongs to the step with this target, or is inside it."""
    step: Any = None if here is None else here.step
    for _ in range(STEPS_MAX):
        if step is None or step is target:
            break
        step = step._around
    return step is not None and step is target
