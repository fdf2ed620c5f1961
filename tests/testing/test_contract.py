"""The tests that users run on their exporters: each of them fails for an exporter that breaks what it is about."""

from __future__ import annotations

import http.client
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from zespan_serverless import testing
from zespan_serverless._http.transport import retry_after
from zespan_serverless.exporters import Exporter, Outcome
from zespan_serverless.exporters.http import HttpExporter
from zespan_serverless.exporters.zespan import ZespanExporter
from zespan_serverless.testing import _contract, _http_contract


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call of this on what hangs is found soon. Nothing that is to pass may run then."""

    def be() -> None:
        for module in (_contract, _http_contract):
            monkeypatch.setattr(module, "PATIENCE", 1.0)

    return be


def run(contract: type[testing.ExporterContract], name: str) -> None:
    """Run one test, as pytest does."""
    tests: Any = contract()
    if hasattr(tests, "setup_method"):
        tests.setup_method()
    try:
        getattr(tests, name)()
    finally:
        if hasattr(tests, "teardown_method"):
            tests.teardown_method()


def names(contract: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(contract, callable) if name.startswith("test_")}


class Lax(Exporter):
    """Accepts everything."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("delivered")


class EncodesText(Lax):
    def encode(self, record: Any) -> Any:
        return super().encode(record).decode()


class Refuses(Lax):
    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("refused" if b'"span_kind":"tool"' in batch[0] else "delivered")


class Marks(Lax):
    def encode(self, record: Any) -> bytes:
        data = super().encode(record)
        if record.model is not None:
            record.model.prompt.system = "seen"
        return data


class SharesAPlace(Lax):
    def encode(self, record: Any) -> bytes:
        self.record = record
        time.sleep(0.001)
        return super().encode(self.record)


class TakesFew(Lax):
    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("delivered" if len(batch) < 10 else "retry")


class ClosesForGood(Lax):
    closed = False

    def close(self) -> None:
        self.closed = True

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("retry" if self.closed else "delivered")


class StaysCancelled(Lax):
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("retry" if self.cancelled else "delivered")


BROKEN: dict[str, list[type[Lax]]] = {
    "test_every_kind_of_record_is_encoded_and_delivered": [EncodesText, Refuses],
    "test_encoding_changes_no_record": [Marks],
    "test_threads_may_encode_at_the_same_time": [SharesAPlace],
    "test_a_batch_of_many_is_delivered": [TakesFew],
    "test_it_can_be_used_again_after_close": [ClosesForGood],
    "test_cancel_without_a_send_changes_nothing": [StaysCancelled],
}


def test_every_test_is_tried_on_a_broken_exporter() -> None:
    """A new one says here what it finds."""
    assert names(testing.ExporterContract) == set(BROKEN)
    assert names(testing.HttpExporterContract) == {*BROKEN, *BROKEN_OVER_HTTP}


@pytest.mark.parametrize(("name", "broken"), [(name, one) for name, kinds in BROKEN.items() for one in kinds])
def test_a_broken_exporter_fails(name: str, broken: type[Lax]) -> None:
    """The test says what is wrong, and passes for an exporter that does nothing wrong."""

    class Contract(testing.ExporterContract):
        kind: ClassVar[type[Lax]] = Lax

        def make(self) -> Lax:
            return self.kind()

    run(Contract, name)
    Contract.kind = broken
    with pytest.raises(AssertionError):
        run(Contract, name)


class Plain(Exporter):
    """Sends over one connection of the standard library, and does all of it wrong that `wrong` names."""

    def __init__(self, url: str, key: str, *wrong: str) -> None:
        self.url, self.key, self.wrong = url, key, wrong
        self._connection: Any = None

    def __repr__(self) -> str:
        return f"<Plain {self.key if 'shows' in self.wrong else ''}>"

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        wait = None if "waits" in self.wrong else timeout
        status, asked = self._post(self.url + "/v1/ingest", b"\n".join(batch), wait)
        if status < 300:
            return Outcome("delivered")
        if status in (400, 413, 422):
            return Outcome("unauthorized" if "drops" in self.wrong else "refused")
        if status in (401, 403):
            return Outcome("unauthorized")
        seconds = None if "forgets" in self.wrong else retry_after(asked)
        return Outcome("refused" if "loses" in self.wrong else "retry", "", seconds)

    def _post(self, url: str, body: bytes, timeout: float | None) -> tuple[int, str | None]:
        if self._connection is None or "keeps" not in self.wrong:
            self._give_up()
            self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
        connection = self._connection
        connection.request("POST", urlsplit(url).path, body, {"x-api-key": self.key})
        response = connection.getresponse()
        response.read()
        if response.status == 307 and "follows" in self.wrong:
            return self._post(response.headers["location"], body, timeout)
        return response.status, response.headers["retry-after"]

    def cancel(self) -> None:
        connection = self._connection
        if connection is not None and connection.sock is not None and "deaf" not in self.wrong:
            connection.sock.shutdown(2)

    def close(self) -> None:
        if "keeps" not in self.wrong:
            self._give_up()

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


BROKEN_OVER_HTTP: dict[str, list[str]] = {
    "test_each_status_has_its_verdict": ["loses", "drops"],
    "test_redirects_are_not_followed": ["follows"],
    "test_retry_after_is_passed_on": ["forgets"],
    "test_send_keeps_its_time": ["waits"],
    "test_cancel_ends_a_send": ["deaf"],
    "test_a_connection_that_was_closed_is_replaced": ["keeps"],
    "test_events_wait_while_the_backend_fails": ["loses"],
    "test_only_the_event_that_is_refused_is_dropped": ["drops"],
    "test_a_forked_child_has_connections_of_its_own": ["keeps"],
    "test_the_key_is_sent_and_never_shown": ["shows"],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # broken ones leave sockets
@pytest.mark.parametrize(("name", "wrong"), [(n, one) for n, kinds in BROKEN_OVER_HTTP.items() for one in kinds])
def test_a_broken_exporter_over_http_fails(name: str, wrong: str, impatient: Callable[[], None]) -> None:
    """The same over HTTP."""

    class Contract(testing.HttpExporterContract):
        wrong: tuple[str, ...] = ()

        def make(self) -> Plain:
            return Plain(self.backend.url, self.KEY, *self.wrong)

    run(Contract, name)
    Contract.wrong = (wrong,)
    impatient()
    with pytest.raises(AssertionError):
        run(Contract, name)


def test_an_exporter_that_sends_elsewhere_is_found() -> None:
    """Whose tests would all be about nothing."""

    class Contract(testing.HttpExporterContract):
        def make(self) -> ZespanExporter:
            return ZespanExporter("http://127.0.0.1:9", self.KEY)

    with pytest.raises(AssertionError, match="backend"):
        run(Contract, "test_redirects_are_not_followed")


def test_make_has_to_be_defined() -> None:
    """The error says so."""
    with pytest.raises(NotImplementedError, match="define `make`"):
        run(testing.ExporterContract, "test_a_batch_of_many_is_delivered")


@pytest.mark.slow
def test_a_call_that_never_returns_is_a_failure(impatient: Callable[[], None]) -> None:
    """Not a hang."""
    impatient()
    gate = threading.Event()
    with pytest.raises(AssertionError, match="send has not returned"):
        _contract.Call(gate.wait).outcome("send")
    gate.set()


def test_what_is_no_outcome_is_a_failure() -> None:
    """The delivery would count it as `retry`."""
    with pytest.raises(AssertionError, match="returned 200, not an Outcome"):
        _contract.Call(lambda: 200).outcome("send")
    assert _contract.Call(int, "x").outcome("send").verdict == "retry"


def test_other_names_do_not_exist() -> None:
    """The room has the two, and nothing else that is imported late."""
    module: Any = testing
    with pytest.raises(AttributeError, match="no attribute 'Contract'"):
        _ = module.Contract


class Mine(HttpExporter):
    """The example of the page."""

    PATH = "/events"

    def body_of(self, batch: Sequence[bytes]) -> bytes:
        return b'{"events":[' + b",".join(batch) + b"]}"

    def headers_for(self, key: str | None) -> dict[str, str]:
        return {"content-type": "application/json", "authorization": f"Bearer {key}"}


class TestMine(testing.HttpExporterContract):
    """Ten lines of a user's pass."""

    def make(self) -> Mine:
        return Mine(self.backend.url, self.KEY)


def test_a_class_without_a_variable_says_how_to_pass_a_key() -> None:
    """Where the key is missing, or is not accepted."""
    with testing.Backend() as backend:
        backend.mode = 401
        hints = {
            None: "because there is no key: pass one as api_key",
            "k": "for the key given: pass a valid one as api_key",
        }
        for key, hint in hints.items():
            mine = Mine(backend.url, key)
            assert hint in mine.send([b"{}"], 5).detail
            mine.close()
