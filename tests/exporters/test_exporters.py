"""Destinations: Zespan's ingest API, standard output, memory."""

from __future__ import annotations

import gzip
import json
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from zespan_serverless import ConfigurationError, capture, flush, init, shutdown
from zespan_serverless._http.answer import Answer
from zespan_serverless._process.container import build_exporter
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import Span
from zespan_serverless.exporters import Exporter, Outcome, event_of
from zespan_serverless.exporters.console import ConsoleExporter
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.zespan import ZespanExporter
from zespan_serverless.settings import Settings, check
from zespan_serverless.testing import Backend


@pytest.fixture
def exporter(backend: Backend) -> Iterator[ZespanExporter]:
    exporter = ZespanExporter(backend.url + "/base", "zsp_key")
    yield exporter
    exporter.close()


def record(**fields: Any) -> Record:
    """Return a record with fields of a user's own."""
    made = Record(Span("t" * 32, "s" * 16), Resource(Settings()), "general", "step")
    made.fields = fields
    return made


RECORDS = [record(event_id="a", text="Grüße\nund mehr"), record(event_id="b")]
EVENTS = [event_of(one) for one in RECORDS]


def send(exporter: Any, timeout: float = 5) -> Outcome:
    outcome = exporter.send([exporter.encode(one) for one in RECORDS], timeout)
    assert isinstance(outcome, Outcome)
    return outcome


def test_the_wire_format(backend: Backend, exporter: ZespanExporter) -> None:
    """Gzipped NDJSON with the key in a header, to /v1/ingest below the base URL, as the SDK sends it."""
    exporter.prepare(5)
    assert send(exporter) == Outcome("delivered")
    (request,) = backend.requests
    assert request.path == "/base/v1/ingest"
    assert request.events == EVENTS
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["x-api-key"] == "zsp_key"
    assert backend.connections == 1


def test_the_body_is_gzip_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """With gzip's own header and checksum."""
    sent: list[bytes] = []
    exporter = ZespanExporter("http://localhost", None)

    def post(path: str, body: bytes, headers: object, timeout: float) -> Answer:
        sent.append(body)
        return Answer(200, {}, b"")

    monkeypatch.setattr(exporter._transport, "post", post)
    send(exporter)
    assert [json.loads(line) for line in gzip.decompress(sent[0]).split(b"\n")] == EVENTS


def test_without_a_key_none_is_sent(backend: Backend) -> None:
    """A backend of one's own may not want one."""
    exporter = ZespanExporter(backend.url, None)
    assert send(exporter) == Outcome("delivered")
    exporter.close()
    assert "x-api-key" not in backend.requests[0].headers


VERDICTS = {
    "delivered": (200, 201, 202, 204, 299),
    "unauthorized": (401, 403),
    "refused": (400, 413, 422),
    "retry": (301, 302, 304, 307, 404, 405, 407, 408, 409, 410, 418, 425, 429, 451, 500, 502, 503, 504, 599),
}


@pytest.mark.parametrize(("status", "verdict"), [(s, verdict) for verdict, all_ in VERDICTS.items() for s in all_])
def test_each_status_has_its_verdict(backend: Backend, exporter: ZespanExporter, status: int, verdict: str) -> None:
    """What passes, what may pass later, what never will, and what needs another key."""
    backend.mode = status
    outcome = send(exporter)
    assert outcome.verdict == verdict
    assert outcome.detail.split(" from ")[0] == ("" if verdict == "delivered" else f"HTTP {status}")
    assert verdict not in ("refused", "unauthorized") or f" from {backend.url}" in outcome.detail
    assert outcome.retry_after is None


def test_retry_after_is_passed_on(backend: Backend, exporter: ZespanExporter) -> None:
    """With whatever may pass."""
    backend.mode, backend.retry_after = 503, "12"
    assert send(exporter) == Outcome("retry", "HTTP 503", 12.0)


def test_cancel_ends_a_send_in_another_thread(backend: Backend, exporter: ZespanExporter) -> None:
    """`cancel` ends a send in another thread."""
    backend.mode = "hang"
    errors: list[Exception] = []

    def sending() -> None:
        try:
            send(exporter)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=sending, daemon=True)
    thread.start()
    while not backend.requests:
        thread.join(0.01)
    exporter.cancel()
    thread.join(1)
    assert len(errors) == 1


def test_compression_counts_towards_the_timeout(
    backend: Backend, exporter: ZespanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If compression has used up the time, nothing is sent."""

    def slowly(*args: object, **kwargs: object) -> bytes:
        time.sleep(0.1)
        return b""

    monkeypatch.setattr("zespan_serverless.exporters.zespan.gzipped", slowly)
    with pytest.raises(TimeoutError):
        send(exporter, 0.05)
    assert backend.requests == []


def test_console_prints_one_document_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The exporter prints one document per line, to the current standard output."""
    exporter = ConsoleExporter()
    assert send(exporter) == Outcome("delivered")
    exporter.cancel()
    exporter.close()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == EVENTS


def test_nothing_on_the_console_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Controls and changes of direction are escaped, as JSON can be; everything else is readable, and all is there."""
    exporter = ConsoleExporter()
    text = "".join(map(chr, [*range(0x100), *range(0x2000, 0x2070), 0x61C])) + "Grüße 日本 \N{GRINNING FACE}"
    exporter.send([exporter.encode(record(text=text))], 5)
    out = capsys.readouterr().out
    assert json.loads(out)["text"] == text
    assert "Grüße 日本 \N{GRINNING FACE}" in out
    line = set(out.removesuffix("\n"))
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Zl", "Zp"}
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(character) for character in line} & turning


def test_memory_keeps_decoded_events() -> None:
    """The exporter keeps decoded events, and the sizes of the batches."""
    exporter = MemoryExporter()
    assert [send(exporter), send(exporter)] == [Outcome("delivered")] * 2
    exporter.cancel()
    exporter.close()
    assert (exporter.events, exporter.batches) == (EVENTS * 2, [2, 2])


def test_an_exporter_is_built_by_name_or_passed_as_an_object() -> None:
    """A name builds the exporter; an object is used as it is."""
    assert isinstance(build_exporter(Settings()), ZespanExporter)
    assert isinstance(build_exporter(Settings(exporter="console")), ConsoleExporter)
    mine = MemoryExporter()
    assert isinstance(build_exporter(Settings(exporter="memory")), MemoryExporter)
    assert build_exporter(Settings(exporter=mine)) is mine


class Sending(Exporter):
    """The least that one has to write who derives from the base class."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        self.sent += batch
        return Outcome("delivered")


class Foreign:
    """The least that an object of any other class has to have."""

    sent: ClassVar[list[bytes]] = []

    def encode(self, record: Record) -> bytes:
        return json.dumps(event_of(record)["operation"]).encode()

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        self.sent.extend(batch)
        return Outcome("delivered")


def test_an_exporter_is_a_single_method() -> None:
    """Events arrive as JSON, and a shutdown finds everything else that it calls."""
    mine = Sending()
    init(exporter=mine, environment="test")
    capture({"operation": "mine"})
    assert flush(5).delivered == 1
    assert shutdown().pending == 0
    assert [json.loads(data)["operation"] for data in mine.sent] == ["mine"]


def test_an_exporter_of_another_class_needs_two() -> None:
    """What it has is called, what it has not is not missed; it keeps its name, which a journal goes by."""
    theirs = Foreign()
    assert check({"exporter": theirs}) == {"exporter": theirs}
    built: Any = build_exporter(Settings(exporter=theirs))
    assert (type(built).__module__, type(built).__qualname__) == (Foreign.__module__, "Foreign")
    assert (built.prepare(1), built.cancel(), built.close(), built.destination) == (None, None, None, "")
    init(exporter=theirs)
    capture({"operation": "theirs"})
    assert flush(5).delivered == 1
    shutdown()
    assert Foreign.sent == [b'"theirs"']


def test_of_an_incomplete_exporter_all_there_is_is_used() -> None:
    """Also a destination that changes."""

    class Preparing(Foreign):
        prepared = 0.0
        destination = "https://a.example"

        def prepare(self, timeout: float) -> None:
            self.prepared = timeout

    theirs = Preparing()
    built: Any = build_exporter(Settings(exporter=theirs))
    built.prepare(2.0)
    theirs.destination = "https://b.example"
    assert (theirs.prepared, built.destination) == (2.0, "https://b.example")


def test_an_exporter_without_send() -> None:
    """Is refused if it is of another class, and cannot be made of the base class."""

    class Silent(Exporter):
        pass

    silent: Any = Silent

    with pytest.raises(ConfigurationError, match=r"exporter has no encode, send\(\)"):
        check({"exporter": object()})
    with pytest.raises(TypeError, match=r"abstract method '?send"):
        silent()


@pytest.mark.parametrize(
    ("key", "environment", "hint"),
    [
        (None, "", "because there is no key: set ZESPAN_API_KEY"),
        ("zsp_short", "", "for the key given: pass a valid one as api_key, or set ZESPAN_API_KEY instead"),
        ("zsp_live_0123456789", "", "for the key ending in 6789: pass a valid one as api_key, or set"),
        ("zsp_live_0123456789", "zsp_live_0123456789", "for the key ending in 6789: set ZESPAN_API_KEY to a valid one"),
    ],
)
def test_who_did_not_accept_which_key(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, key: str | None, environment: str, hint: str
) -> None:
    """The detail names the host, the end of the key, where that is from, and what to do."""
    monkeypatch.setenv("ZESPAN_API_KEY", environment)
    backend.mode = 401
    exporter = ZespanExporter(backend.url, key)
    assert send(exporter).detail.startswith(f"HTTP 401 from {backend.url} {hint}")
    exporter.close()


def test_a_key_from_a_secret_that_is_not_accepted(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detail names the secret."""
    monkeypatch.setattr("zespan_serverless._platforms.secrets.read_aws", lambda _: "zsp_live_0123456789")
    backend.mode = 401
    exporter = ZespanExporter(backend.url, None, "ssm:/zespan/key")
    assert (
        send(exporter).detail == f"HTTP 401 from {backend.url} for the key from ssm:/zespan/key: put a valid one there"
    )
    exporter.close()


def test_the_destination_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination has scheme, host and proxy, without passwords."""
    exporter = ZespanExporter("https://a.example/base", None)
    assert exporter.destination == "https://a.example"
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example:3128")
    assert exporter.destination == "https://a.example through the proxy proxy.example:3128"
