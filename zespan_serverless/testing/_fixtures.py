"""Implements the fixtures of `plugin`. Imported by the first test that uses one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, overload

import pytest

from ..errors import ConfigurationError
from ..settings._fields import FIELDS
from ._backend import Backend
from ._losses import complaint
from ._recording import Event, Recording, begin, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEY = "zsp_test"
_ALLOWANCES = ("allow_drops", "allow_waiting")


class RecordedEvents(Sequence[Event]):
    """The events of a test, as a read-only list. Reading it shows all events captured so far."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def _complete(self) -> list[Event]:
        self._recording.note_losses()
        return self._recording.events

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        return self._complete()[index]

    def __len__(self) -> int:
        return len(self._complete())

    def __iter__(self) -> Iterator[Event]:
        return iter([*self._complete()])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RecordedEvents):
            return other is self
        return self._complete() == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __repr__(self) -> str:
        return repr(self._complete())


class Rules:
    """The arguments of a test's markers: settings, and allowed losses."""

    def __init__(self, test: pytest.Item) -> None:
        named: dict[str, Any] = {}
        for mark in reversed([*test.iter_markers("zespan")]):  # the closest last
            if mark.args:
                raise ConfigurationError(f"settings go by keyword, not {', '.join(map(repr, mark.args))}")
            named |= mark.kwargs
        self.allowed = {name: named.pop(name, False) for name in _ALLOWANCES}
        for name, value in self.allowed.items():
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name} must be True or False, not {value!r}")
        for name in named:
            if name not in FIELDS:
                from .._base.hints import suggestion

                raise ConfigurationError(f"unknown setting {name!r}{suggestion(name, [*FIELDS, *_ALLOWANCES])}")
        self.settings = checked(named, "the marker")


def _rules(test: pytest.Item) -> Rules | str:
    """Return the arguments of a test's markers, or what is wrong with them."""
    try:
        return Rules(test)
    except ConfigurationError as error:
        return f"@pytest.mark.zespan: {error}"


@contextmanager
def watched(test: pytest.Item, key: str, defaults: Mapping[str, Any] | None = None) -> Iterator[Recording]:
    """Record a test, or, with `defaults`, send its events. The test fails if an event does not arrive."""
    rules = _rules(test)
    if isinstance(rules, str):
        pytest.fail(rules, pytrace=False)
    recording = begin(rules.settings, defaults)
    vars(test)[key] = [*(one for one in vars(test).get(key, []) if one.is_under_way), recording]  # it may be run again
    try:
        yield recording
    finally:
        recording.end()
    text = complaint(recording, **rules.allowed)
    if text and not recording.has_failed:  # then its report has it already
        pytest.fail(text, pytrace=False)


@contextmanager
def receiving(test: pytest.Item, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Start a backend that functions send to, in this process and its child processes."""
    with Backend() as backend:
        for name in ("ZESPAN_ENABLED", "ZESPAN_FALLBACK"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment(backend).items():
            monkeypatch.setenv(name, value)
        with watched(test, key, {"exporter": "zespan", "base_url": backend.url, "api_key": _KEY}) as recording:
            recording.arrived = lambda: backend.events
            yield backend


def environment(backend: Backend) -> dict[str, str]:
    """Return the variables that make a process send to this backend. They do not enable telemetry, so that code with
    another backend does not send to that one from a test.
    """
    variables = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": _KEY, "ZESPAN_EXPORTER": "zespan"}
    return {**variables, "PYTEST_VERSION": pytest.__version__}


@contextmanager
def sandboxes(root: Path, backend: Backend, recording: Recording) -> Iterator[Callable[..., Any]]:
    """Yield a function that starts functions on Lambda's emulator. The end of the block stops them, and records their
    losses.
    """

    def lost(how: str, event: Event, reason: str) -> None:
        recording.elsewhere.append((how, event, reason))

    for entry in entry_points(group="zespan_serverless.fixtures", name="lambda_sandbox"):
        with entry.load()(root, environment(backend), lost) as start:
            yield start
        return
    tools = "pip install ./dev in a checkout"  # until the first release
    pytest.fail(f"the fixture lambda_sandbox comes with: {tools}", pytrace=False)
