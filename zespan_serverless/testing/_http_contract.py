"""`HttpExporterContract`: tests of everything that the delivery relies on in an exporter over HTTP."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from .._delivery.delivery import Delivery
from ..settings import Settings
from ._backend import Backend
from ._contract import PATIENCE, Call, ExporterContract, step

if TYPE_CHECKING:
    from .._base.exporter import Exporter

_MOMENT = 0.3  # seconds for a request without a response
_POISON = "poison"


class HttpExporterContract(ExporterContract):
    """Tests of an exporter that sends over HTTP, with a real server that fails in all ways: `self.backend`::

        class TestMine(testing.HttpExporterContract):
            def make(self):
                return Mine(self.backend.url, self.KEY)

    Attributes:
        KEY: Must be sent to the backend, and appear nowhere else. Empty if the exporter has no key.
        VERDICTS: The expected verdict for each status.
        backend: The server of the current test. To read other formats than Zespan's and Carbon's it needs `decode`:
            see `make_backend`.
    """

    KEY = "key-5up3rs3cr3t-0123456789"
    VERDICTS: Mapping[int, str] = {
        **dict.fromkeys((200, 201, 202, 204), "delivered"),
        **dict.fromkeys((400, 413, 422), "refused"),
        **dict.fromkeys((401, 403), "unauthorized"),
        **dict.fromkeys((302, 307, 429, 500, 502, 503, 504), "retry"),
    }
    backend: Backend

    def make_backend(self) -> Backend:
        """Return the server that the exporter sends to. Override it for a `Backend` with other arguments."""
        return Backend()

    def setup_method(self) -> None:
        """Start the server; pytest calls this before each test."""
        self.backend = self.make_backend()

    def teardown_method(self) -> None:
        """Stop the server; pytest calls this after each test."""
        self.backend.close()

    def test_each_status_has_its_verdict(self) -> None:
        """Each status has the verdict in `VERDICTS`: delivered, retry, refused or unauthorized."""
        exporter = self.exporter()
        found = {}
        for status in self.VERDICTS:
            self.backend.mode = status
            found[status] = self._send(exporter).outcome("send").verdict
        exporter.close()
        assert found == dict(self.VERDICTS)

    def test_redirects_are_not_followed(self) -> None:
        """Redirects are not followed, because they would send the key elsewhere."""
        exporter = self.exporter()
        self.backend.mode = "redirect"
        assert self._send(exporter).outcome("send").verdict != "delivered"
        exporter.close()
        assert "/elsewhere" not in {request.path for request in self.backend.requests}
        assert self.backend.requests, "nothing was sent to the backend: `make` has to use self.backend.url"

    def test_retry_after_is_passed_on(self) -> None:
        """Retry-After is passed on, as a number of seconds or as a date."""
        exporter = self.exporter()
        self.backend.mode, self.backend.retry_after = 503, "7"
        seconds = self._send(exporter).outcome("send").retry_after
        assert seconds == 7, f"Retry-After: 7 became retry_after={seconds!r}"
        self.backend.retry_after = formatdate(time.time() + 3600, usegmt=True)
        seconds = self._send(exporter).outcome("send").retry_after
        assert seconds is not None
        assert 1800 < seconds < 5400, f"a date in an hour became retry_after={seconds!r}"
        exporter.close()

    def test_send_keeps_its_time(self) -> None:
        """A backend that does not answer does not block `send` beyond its timeout."""
        exporter = self.exporter()
        self.backend.mode = "hang"
        outcome = self._send(exporter, _MOMENT).outcome(f"send with a timeout of {_MOMENT:g} s")
        assert outcome.verdict == "retry"
        self.backend.mode = "ok"
        assert self._send(exporter).outcome("send").verdict == "delivered"
        exporter.close()

    def test_cancel_ends_a_send(self) -> None:
        """`cancel` from another thread ends a `send`, on a new and on a kept connection; the next batch is
        delivered."""
        exporter = self.exporter()
        for _ in range(2):
            self.backend.mode = "hang"
            before = len(self.backend.requests)
            sending = self._send(exporter, 10 * PATIENCE)
            self._wait_for_requests(before + 1)
            assert not sending.is_over
            exporter.cancel()
            assert sending.outcome("a send that was cancelled").verdict == "retry"
            self.backend.mode = "ok"
            assert self._send(exporter).outcome("send").verdict == "delivered"
        exporter.close()

    def test_a_connection_that_was_closed_is_replaced(self) -> None:
        """A connection that the server has closed while it was idle is replaced, without a retry by the delivery."""
        exporter = self.exporter()
        for _ in range(3):
            assert self._send(exporter).outcome("send").verdict == "delivered"
            self.backend.close_connections()
        exporter.close()

    def test_events_wait_while_the_backend_fails(self) -> None:
        """No event is lost while the backend fails, and all are delivered when it works again."""
        for mode in (500, "drop", "refuse", "hang"):
            with self._delivery() as delivery:
                self.backend.mode = mode
                for number in range(3):
                    delivery.capture(step(f"step {number}"))
                report = delivery.flush(_MOMENT)
                counts = report.delivered, report.dropped, report.pending
                assert counts == (0, 0, 3), f"while the backend answers {mode!r}: {report}"
                self.backend.mode = "ok"
                delivery.resume()  # as after a while, when the state of the backend is unknown
                report = delivery.flush(PATIENCE, probe=True)
                assert (report.delivered, report.pending) == (3, 0), f"after {mode!r}: {report}"

    def test_only_the_event_that_is_refused_is_dropped(self) -> None:
        """The other events of its batch are delivered."""
        self.backend.reject = lambda event: _POISON in json.dumps(event)
        with self._delivery() as delivery:
            for name in ("one", "two", _POISON, "three", "four"):
                delivery.capture(step(name))
            report = delivery.flush(PATIENCE, probe=True)
            assert (report.delivered, report.dropped, report.pending) == (4, 1, 0), str(report)
            assert dict(delivery.dropped)["refused"] == 1

    def test_a_forked_child_has_connections_of_its_own(self) -> None:
        """Parent and child both send, and neither gets the other's responses."""
        if not hasattr(os, "fork"):
            return
        exporter = self.exporter()
        assert self._send(exporter).outcome("send").verdict == "delivered"
        data, before = exporter.encode(step("child")), self.backend.connections
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the server's threads do not exist in the child
            child = os.fork()
        if not child:
            code = 1
            try:
                exporter.close()
                code = 0 if exporter.send([data], PATIENCE).verdict == "delivered" else 2
            finally:
                os._exit(code)
        assert _exit_code(child) == 0, "the child's send did not deliver"
        assert self.backend.connections > before, "the child has used its parent's connection"
        assert self._send(exporter).outcome("send").verdict == "delivered"
        exporter.close()
        statuses = [request.status for request in self.backend.requests]
        assert statuses == [200, 200, 200], f"the backend has answered {statuses}"

    def test_the_key_is_sent_and_never_shown(self) -> None:
        """The key is sent, but is neither in the exporter's repr, nor in outcomes, nor in exceptions."""
        exporter = self.exporter()
        shown = [repr(exporter), str(exporter), str(getattr(exporter, "destination", ""))]
        for mode in ("ok", 400, 401, 404, 500, "drop", "redirect", "hang", "refuse"):
            self.backend.mode = mode
            timeout = _MOMENT if mode == "hang" else PATIENCE
            shown.append(repr(self._send(exporter, timeout).outcome("send")))
        exporter.close()
        if self.KEY:
            headers = [value for request in self.backend.requests for value in request.headers.values()]
            assert any(self._has_key(value) for value in headers), "no header had self.KEY"
            assert [text for text in shown if self._has_key(text)] == []

    def _send(self, exporter: Exporter, timeout: float = PATIENCE) -> Call:
        return Call(exporter.send, [exporter.encode(step())], timeout)

    @contextmanager
    def _delivery(self) -> Iterator[Delivery]:
        exporter = self.exporter()
        delivery = Delivery(exporter, Settings())
        try:
            yield delivery
        finally:
            delivery.close(0)
            delivery.stop_threads(PATIENCE)
            exporter.close()

    def _wait_for_requests(self, count: int) -> None:
        end = time.monotonic() + PATIENCE
        while len(self.backend.requests) < count:
            assert time.monotonic() < end, "no request has arrived at self.backend"
            time.sleep(0.01)

    def _has_key(self, text: str) -> bool:
        """Whether a text contains the key, as it is or encoded for basic authentication."""
        words: list[Any] = [text]
        if text.startswith("Basic "):
            words.append(base64.b64decode(text[6:]).decode("utf-8", "replace"))
        return any(self.KEY in word for word in words)


def _exit_code(child: int) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1
