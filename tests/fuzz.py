"""All that reads what others have written, on bytes that a coverage-guided fuzzer makes up: it never raises.

`python -m tests.fuzz [seconds]` (60 by default, shared by all readers) or `python -m tests.fuzz seconds reader`; needs
atheris, which is in the extra `fuzz`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import atheris

with atheris.instrument_imports(  # pyright: ignore[reportAttributeAccessIssue]
    include=["zespan_serverless", "zespan_serverless_dev"]
):
    from zespan_serverless_dev import ingest

    from zespan_serverless import alibaba, openwhisk, oracle, settings
    from zespan_serverless._delivery import budget, journal, journal_format
    from zespan_serverless._http import client, sockets
    from zespan_serverless._http import transport as http
    from zespan_serverless._observe import web
    from zespan_serverless._platforms import azure, google
    from zespan_serverless._record import policy, shortening, values
    from zespan_serverless._trace import context as _trace
    from zespan_serverless._trace import lists
    from zespan_serverless.aws_lambda import _batches, _events, _records, _results, forwarder
    from zespan_serverless.exporters import stores
    from zespan_serverless.exporters._trees.nodes import node_of
    from zespan_serverless.exporters._trees.style import Style
    from zespan_serverless.exporters._trees.tree import draw
    from zespan_serverless.exporters.otlp._answers import rejected
    from zespan_serverless.exporters.otlp._messages import input_of, message_of
    from zespan_serverless.settings._otlp import target

_POLICY = policy.Policy(settings.Settings())


def _json(data: bytes) -> Any:
    """Return what JSON makes of it, or else a text: all that an event can be made of."""
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _lambda_event(data: bytes) -> None:
    event = _json(data)
    _events.describe(event)
    _events.parent(event)
    _events.links(event, "Root=1-5759e988-bd862e3fe1be46a994272793")
    for record in _batches.records(event):
        with _records.traced_record(record):
            pass
    values.encode(_POLICY.fields({"metadata": event}))


def _shaped_lambda_event(data: bytes) -> None:
    """As far as the sources are told apart, so that the fuzzer need not find their names."""
    kinds = list(_batches._KINDS)
    value = _json(data[1:])
    record = {**(value if isinstance(value, dict) else {"body": value}), "eventSource": kinds[data[0] % len(kinds)]}
    for event in ({"Records": [record, value]}, {**record, "records": value, "events": value, "messages": value}):
        _lambda_event(json.dumps(event).encode())


def _google_event(data: bytes) -> None:
    value = _json(data)
    context: Mapping[str, Any] = value if isinstance(value, dict) else {"type": value}
    google.describe_event(context, value)
    google.describe_push(value)
    google.producer(context, value)
    google.parse_cloud_trace(data.decode("latin-1"))
    google.parents(lambda name: data.decode("latin-1"))
    google.describe_headers(lambda name: data.decode("latin-1"))


def _functions(data: bytes) -> None:
    """The calls of platforms whose functions get an event and a context."""
    value, text = _json(data), data.decode("latin-1")
    about = SimpleNamespace(function=SimpleNamespace(name=value, timeout=value), request_id=value)
    call = alibaba.AlibabaHost().request((data, about), {})
    alibaba.AlibabaHost().read(call).describe()
    call.request = value if isinstance(value, dict) else {"requestContext": value, "headers": value}
    alibaba.AlibabaHost().read(call).describe()
    for event in (value, {"http": value}, {"__ow_method": value, "__ow_headers": value}):
        openwhisk.OpenWhiskHost().read(event).describe()
    openwhisk.OpenWhiskHost().result(value)
    ctx = SimpleNamespace(Headers=lambda: {"fn-deadline": text, "x-b3-traceid": text, "x-b3-spanid": text[:16]})
    oracle.OracleHost().read(ctx).describe()


def _headers(data: bytes) -> None:
    text = data.decode("latin-1")
    _trace.caller_of(lambda name: text)
    for listed in (lists.parse_tracestate(text), lists.parse_baggage(text)):
        assert set(listed) <= set(map(chr, (9, *range(32, 127))))
    _events.xray_link(text)
    seconds = http.retry_after(text, now=1e9)
    assert 0 <= budget.clamp_retry_after(seconds or 0.0) <= budget.RETRY_AFTER_MAX
    web.content_length(text)
    web.WebHost[str]({}).invocation("GET", text, text, lambda name: text, lambda: text).describe()
    azure.seconds(text)


def _texts(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass" if data.isascii() else "replace")
    said = {"prompt_text": text, "error_message": text, "metadata": {"token": text, "b": data}}
    values.encode(_POLICY.fields(said))
    values.encode(_POLICY.fields({"metadata": _json(data), "tags": {text: text}}))
    values.encode({text: text, "bytes": data, "json": _json(data)})
    values.encode(shortening.cut(values.plain({"text": text, "json": _json(data)}), 64))
    _results.read(_json(data))


def _journals(data: bytes) -> None:
    offset = int.from_bytes(data[:8], "little")
    left = journal_format.parse_records(data, offset, 0.0, cut=False)
    assert sum(map(len, left.events)) <= len(data)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o700)
        Path(folder, "1-a.journal").write_bytes(data)
        list(journal.Journal(folder, "there", "key", 1_000_000).recover())


def _answers(data: bytes) -> None:
    for head in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"):
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(head + data)
            theirs.shutdown(socket.SHUT_WR)
            channel = client.Channel(sockets.Socket(fileno=ours.detach()))
            with contextlib.suppress(OSError):
                assert len(channel.receive().body) <= len(data)
            channel.close()


def _environment(data: bytes) -> None:
    text = data.decode("utf-8", "replace").replace("\0", "")
    settings.resolve({}, {f"ZESPAN_{name.upper()}": text for name in settings._fields.FIELDS})


def _otlp(data: bytes) -> None:
    text = data.decode("utf-8", "replace").replace("\0", "")
    number, why = rejected(data)
    assert number >= 0
    assert len(why) <= len(text)
    assert json.dumps([message_of(one) for one in input_of(text)])
    assert message_of(_json(data))["parts"] is not None
    names = ("ENDPOINT", "HEADERS", "TIMEOUT", "PROTOCOL", "COMPRESSION", "CERTIFICATE")
    environ = {f"OTEL_EXPORTER_OTLP_{name}": text for name in names} | {"OTEL_RESOURCE_ATTRIBUTES": text}
    environ |= {"SENTRY_DSN": text, "LOGFIRE_TOKEN": text, "PHOENIX_CLIENT_HEADERS": text}
    for exporter in ("otlp", "sentry", "logfire", "phoenix"):
        found = target(settings.Settings(exporter=exporter), environ)
        assert bool(found.url) or bool(found.missing)


def _dev(data: bytes) -> None:
    """What `zespan-serverless dev` takes."""
    for path in ingest.PATHS:
        for kind in ("application/json", "application/x-protobuf"):
            with contextlib.suppress(ingest.BadBody):
                for span in ingest.spans_in(path, kind, data):
                    json.dumps(ingest.details(span.format, span.raw), allow_nan=False)
    with contextlib.suppress(ingest.BadBody):
        ingest.lifecycle.read(data)


def _parked(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    header = b'{"version":1,"events":1}\n'
    for blob in (data, stores.from_text(text), *(zlib.compress(begun + data, wbits=31) for begun in (b"", header))):
        with contextlib.suppress(ValueError):  # what it says of anything else than a batch
            stores.batches_of(blob)
    for event in ({"Records": [{"body": text}, {"kinesis": {"data": text}}, _json(data)]}, _json(data)):
        if isinstance(event, dict) and isinstance(event.get("Records", []), list):
            with mock.patch.object(forwarder, "_bucket", side_effect=KeyError):  # else it would ask AWS
                list(forwarder._parcels(event, []))


def _trees(data: bytes) -> None:
    event = _json(data)
    events = [one for one in (event if isinstance(event, list) else [event]) if isinstance(one, dict)]
    text = draw(map(node_of, events), Style())
    assert text.count("\n") >= len(events)
    assert "\x1b" not in text


READERS: dict[str, Callable[[bytes], None]] = {
    "lambda": _lambda_event,
    "sources": lambda data: _shaped_lambda_event(data or b"\0"),
    "google": _google_event,
    "functions": _functions,
    "headers": _headers,
    "texts": _texts,
    "journal": _journals,
    "answers": _answers,
    "environment": _environment,
    "otlp": _otlp,
    "parked": _parked,
    "trees": _trees,
    "dev": _dev,
}


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    if len(sys.argv) > 2:
        logging.disable(logging.CRITICAL)
        options = [
            f"-max_total_time={max(1, seconds)}",
            "-max_len=4096",
            "-timeout=10",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        with TemporaryDirectory() as corpus:
            atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", corpus], READERS[sys.argv[2]])
            atheris.Fuzz()
    failed = 0
    for name in READERS:
        command = [sys.executable, "-m", "tests.fuzz", str(seconds // len(READERS)), name]
        done = subprocess.run(command, capture_output=True, text=True)
        runs = done.stderr.partition("stat::number_of_executed_units:")[2].split("\n")[0].strip()
        print(f"{name}: {runs or '?'} inputs, {'nothing came out' if done.returncode == 0 else done.stderr[-3000:]}")
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
