"""What fails in our code stays there; what a signal handler of the user's raises in it reaches the user."""

from __future__ import annotations

import functools
import gc
import signal
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zespan_serverless._base.guard import Guarded, contain, is_from_signal, pass_on

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no signals to speak of on this platform")


class TooLateError(Exception):
    pass


def raises(number: int, frame: object) -> None:
    raise TooLateError


def calls_what_raises(number: int, frame: object) -> None:
    raises(number, frame)


class Holder:
    def method(self, number: int, frame: object) -> None:
        raise TooLateError

    def __call__(self, number: int, frame: object) -> None:
        raise TooLateError


HANDLERS: dict[str, Callable[..., Any]] = {
    "function": raises,
    "function that calls another": calls_what_raises,
    "lambda": lambda *_: raises(0, None),
    "method": Holder().method,
    "object": Holder(),
    "partial": functools.partial(raises),
    "partial of a method": functools.partial(Holder().method),
}


@pytest.fixture(autouse=True)
def handler_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("passes", [pass_on, functools.partial(contain, place="a test")], ids=["pass_on", "contain"])
def test_what_an_exception_has_left_ends_with_it(passes: Callable[[Any], None]) -> None:
    """Objects of the frames that it has left are freed at once, not when the garbage collector runs."""
    kept: list[weakref.ref[Holder]] = []

    def interrupted() -> None:
        holder = Holder()
        kept.append(weakref.ref(holder))
        try:
            signal.raise_signal(signal.SIGUSR1)
        except Exception as error:
            passes(error)

    signal.signal(signal.SIGUSR1, raises)
    gc.disable()
    try:
        with pytest.raises(TooLateError) as caught:
            interrupted()
        del caught
        assert kept[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", HANDLERS)
def test_exceptions_of_signal_handlers_pass(kind: str) -> None:
    """They pass the guard, whatever kind of callable the handler is."""
    signal.signal(signal.SIGUSR1, HANDLERS[kind])
    with pytest.raises(TooLateError), Guarded("a test"):
        signal.raise_signal(signal.SIGUSR1)


@pytest.mark.parametrize("kind", HANDLERS)
def test_pass_on_lets_through_what_a_signal_handler_raised(kind: str) -> None:
    """They pass an `except` block that begins with `pass_on`."""
    signal.signal(signal.SIGUSR1, HANDLERS[kind])
    with pytest.raises(TooLateError) as raised:
        signal.raise_signal(signal.SIGUSR1)
    with pytest.raises(TooLateError):
        pass_on(raised.value)


def test_pass_on_ignores_other_exceptions() -> None:
    """Ours, though a handler is set that could raise the same."""
    signal.signal(signal.SIGUSR1, raises)
    with Guarded("a test"):
        raise TooLateError
    with pytest.raises(TooLateError) as raised:
        raise TooLateError
    pass_on(raised.value)
    assert not is_from_signal(raised.value)
    assert not is_from_signal(TooLateError())


def test_guard_lets_system_exit_and_keyboard_interrupt_pass() -> None:
    """SystemExit and KeyboardInterrupt are not ours to swallow."""
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(kind), Guarded("a test"):
            raise kind


def test_exception_of_a_handler_that_uninstalls_itself_passes() -> None:
    """It is set no more when its exception comes to us."""

    def once(number: int, frame: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        raise TooLateError

    for handler in (once, lambda *both: once(*both)):
        signal.signal(signal.SIGUSR1, handler)
        with pytest.raises(TooLateError), Guarded("a test"):
            signal.raise_signal(signal.SIGUSR1)
