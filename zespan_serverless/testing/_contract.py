"""`ExporterContract`: tests of everything that the delivery relies on, which every exporter must pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._base.reports import Outcome
from .._process.custom import completed
from .._record.model import Answer, Model, Prompt
from .._record.policy import Policy
from .._record.record import Record, Resource
from .._record.step import Step
from .._trace import Span, new_span
from ..settings import Settings

if TYPE_CHECKING:
    from .._base.exporter import CustomExporter, Exporter

PATIENCE = 20.0
"""Seconds after which a call is assumed never to return."""


class ExporterContract:
    """Tests of an exporter: derive a class that pytest collects, and define how to create the exporter::

        class TestArchive(testing.ExporterContract):
            def make(self):
                return Archive()

    Use `HttpExporterContract` for an exporter that sends over HTTP.
    """

    def make(self) -> CustomExporter:
        """Return a new exporter, whose destination accepts everything."""
        raise NotImplementedError("define `make`, which returns the exporter to test")

    def exporter(self) -> Exporter:
        """Return a new exporter, with all methods that the delivery calls."""
        return completed(self.make())

    def test_every_kind_of_record_is_encoded_and_delivered(self) -> None:
        """Model calls, steps, failures and captured events become bytes, and are accepted."""
        exporter = self.exporter()
        for record in records():
            data = exporter.encode(record)
            assert isinstance(data, bytes), f"encode returned a {type(data).__name__}, not bytes"
            outcome = exporter.send([data], PATIENCE)
            assert outcome.verdict == "delivered", f"a record of the kind {record.kind!r}: {outcome}"
        exporter.close()

    def test_encoding_changes_no_record(self) -> None:
        """Encoding does not change a record, because other exporters may encode it as well."""
        exporter = self.exporter()
        for record in records():
            before = _inside(record)
            exporter.encode(record)
            assert _inside(record) == before, f"encode has changed a record of the kind {record.kind!r}"

    def test_threads_may_encode_at_the_same_time(self) -> None:
        """Concurrent calls of `encode` return the same bytes as sequential ones."""
        exporter = self.exporter()
        made = records()
        alone = [exporter.encode(record) for record in made]
        calls = [Call(lambda: [exporter.encode(record) for record in made]) for _ in range(4)]
        for call in calls:
            assert call.result("encode") == alone, "encode gives something else when several threads call it"

    def test_a_batch_of_many_is_delivered(self) -> None:
        """A batch with the default maximum of events is delivered."""
        exporter = self.exporter()
        batch = [exporter.encode(step(f"step {number}")) for number in range(50)]
        assert exporter.send(batch, PATIENCE).verdict == "delivered"
        exporter.close()

    def test_it_can_be_used_again_after_close(self) -> None:
        """A closed exporter sends again, as after a fork or a restored snapshot, even if it has never sent."""
        exporter = self.exporter()
        for _ in range(3):
            exporter.close()
            exporter.close()
            assert exporter.send([exporter.encode(step())], PATIENCE).verdict == "delivered"
        exporter.close()

    def test_cancel_without_a_send_changes_nothing(self) -> None:
        """`cancel` is harmless if it comes too late, or before anything was sent."""
        exporter = self.exporter()
        for _ in range(2):
            exporter.cancel()
            assert exporter.send([exporter.encode(step())], PATIENCE).verdict == "delivered"
        exporter.cancel()
        exporter.close()


class Call:
    """A call in a separate thread, which must return or raise within `PATIENCE`."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._result = function(*args)
        except BaseException as error:
            self._error = error

    @property
    def is_over(self) -> bool:
        """Whether it has returned or raised."""
        return not self._thread.is_alive()

    def result(self, what: str) -> Any:
        """Return the call's result, or raise its exception."""
        self._thread.join(PATIENCE)
        assert self.is_over, f"{what} has not returned after {PATIENCE:g} seconds"
        if self._error is not None:
            raise self._error
        return self._result

    def outcome(self, what: str) -> Outcome:
        """Return the outcome of a `send`. An exception counts as `retry`, as in the delivery."""
        try:
            found = self.result(what)
        except AssertionError:
            raise
        except Exception as error:
            return Outcome("retry", repr(error))
        assert isinstance(found, Outcome), f"{what} returned {found!r}, not an Outcome"
        return found


def step(name: str = "look up") -> Record:
    """Return a record of a step."""
    return Record(new_span(None), _resource(), "general", name, 12.5)


def records() -> list[Record]:
    """Return one record of each kind, after the policy."""
    settings = Settings(tags={"team": "search"})
    policy = Policy(settings)
    made = [_call(), step(), _tool(), _failed(), _captured()]
    return [policy.applied(record) for record in made]


def _resource() -> Resource:
    return Resource(Settings(environment="test"), {"team": "search"})


def _call() -> Record:
    prompt = Prompt([{"role": "user", "content": "Wie spät ist es in 東京?"}])
    prompt.system, prompt.tools = "Be brief.", [{"name": "clock", "description": "tells the time"}]
    answer = Answer()
    answer.model, answer.text, answer.finish_reason, answer.known = "gpt-4o-mini", "\x00 half past \ud83d", "stop", True
    answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.reasoning_tokens = 20, 5, 8, 2
    answer.tool("clock", '{"city": "Tokyo"}')
    span = Span("a" * 32, "b" * 16, "c" * 16, "user", "session", {"tier": "gold"})
    record = Record(span, _resource(), "llm", "chat", 812.4)
    record.model = Model("openai", "gpt-4o", prompt, answer, stream=True)
    return record


def _tool() -> Record:
    record = Record(new_span(None), _resource(), "tool", "clock", 3.0, {"nested": {"list": [1, None, True]}, "n": 0.5})
    record.step = Step()
    record.step.tool, record.step.arguments, record.step.result = "clock", {"city": "Tokyo"}, ["12:30"]
    return record


def _failed() -> Record:
    record = Record(new_span(None), _resource(), "invocation", "handler", 3000.0, {"faas.coldstart": True})
    record.fail(ValueError("no such city"))
    return record


def _captured() -> Record:
    record = Record(new_span(None), _resource(), "general", "custom")
    record.fields = {"operation": "mine", "latency_ms": 7, "metadata": {"a": [1]}, "odd": object, "event_id": "mine"}
    return record


def _inside(value: Any) -> Any:
    """Return a record's contents as a comparable value, without lazily created parts."""
    if not type(value).__module__.startswith(__name__.partition(".")[0]):
        return repr(value)
    names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
    return {name: _inside(getattr(value, name)) for name in names if name[0] != "_"}
