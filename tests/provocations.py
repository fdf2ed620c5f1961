"""Provokes lines of the log by their code, each in the smallest way, and names the tests that provoke the others."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import zespan_serverless as zespan
from zespan_serverless import _observe, sdks
from zespan_serverless._base.guard import Guarded
from zespan_serverless._base.hook import when_imported
from zespan_serverless._base.reports import FlushReport
from zespan_serverless._delivery.buffer import Item
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._delivery.notices import Notices
from zespan_serverless._delivery.sending import ExporterCalls
from zespan_serverless._process import container, sigterm
from zespan_serverless.aws_lambda import _extension
from zespan_serverless.providers._call import ModelCall
from zespan_serverless.providers._stream import StreamReader
from zespan_serverless.settings import Settings, resolve, usable
from zespan_serverless.testing import LambdaContext

Patch = pytest.MonkeyPatch
Provocation = Callable[[Patch, Path], object]

SECRET = "zsp_live_0123456789abcdef4f2a"
PROMPT = "tell me a secret"


def fail(*_: object, **__: object) -> Any:
    raise ValueError("made up")


def noticed(*acts: Callable[[Notices], object], **settings: Any) -> None:
    """Have notices of one delivery written."""
    notices = Notices(Settings(**settings), "https://ingest.example")
    for act in acts:
        act(notices)
    while notices:
        notices.drain()()


def like(**attributes: Any) -> Any:
    """Return an object that has no more than these attributes."""
    return SimpleNamespace(**attributes)


def dropped(reason: str) -> Provocation:
    item = Item(PROMPT.encode(), 0.0)
    return lambda _, __: noticed(lambda notices: notices.dropped([item], reason, ""))


def away(detail: str) -> Provocation:
    return lambda _, __: noticed(lambda notices: notices.unreachable(detail, 1))


def variables(**environ: str) -> Provocation:
    return lambda _, __: usable(resolve({}, {f"ZESPAN_{name}": text for name, text in environ.items()}))


def in_memory(act: Callable[[], object]) -> Provocation:
    """Provoke it where events stay in memory."""

    def provoke(_: Patch, __: Path) -> None:
        zespan.init(exporter="memory")
        act()

    return provoke


def in_span(act: Callable[[Any], object], **fields: Any) -> Provocation:
    def provoke() -> None:
        with zespan.span("step", **fields) as step:
            act(step)

    return in_memory(provoke)


def handled(**settings: Any) -> None:
    decorate: Any = zespan.zespan_lambda(exporter="memory", **settings)
    decorate(lambda event, context: None)({}, LambdaContext())


def expired_journal(_: Patch, folder: Path) -> None:
    _left_behind(folder, "another")
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    list(Journal(str(folder), "here", "key", 1_000_000).recover())


def unreadable_journal(patch: Patch, folder: Path) -> None:
    _left_behind(folder, "here")
    patch.setattr(Journal, "_read", lambda *_: _raise(OSError("no")))
    list(Journal(str(folder), "here", "key", 1_000_000).recover())


def _left_behind(folder: Path, destination: str) -> None:
    journal = Journal(str(folder), destination, "key", 1_000_000)
    journal.append_event(PROMPT.encode())
    journal.release()


def _raise(error: Exception) -> Any:
    raise error


def unfit_platform(patch: Patch, _: Path) -> None:
    with patch.context() as here:
        here.setattr(os, "name", "nt")
        container.journal_of(Settings(journal="on"), like())


def not_patched(patch: Patch, _: Path) -> None:
    patch.setitem(sys.modules, "made_up_client", ModuleType("made_up_client"))
    when_imported({"made_up_client": {"made_up_client calls are not traced": fail}})


def not_adopted(patch: Patch, _: Path) -> None:
    patch.setitem(sys.modules, "zespan", ModuleType("zespan"))
    patch.setattr("zespan_serverless.sdks.zespan.adopt", fail)
    sdks.adopt()


def sdk_failed(_: Patch, __: Path) -> None:
    from zespan_serverless.sdks import zespan as adopted

    adopted._patch("patch_made_up", lambda: _raise(AttributeError("made up")))


def telemetry_failed(_: Patch, __: Path) -> None:
    with Guarded("the test"):
        fail()


def no_extension(patch: Patch, _: Path) -> None:
    patch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
    patch.setenv(_extension.CLAIM, "")
    _extension.register("after_response", 0.2, print)


def no_watch(patch: Patch, _: Path) -> None:
    patch.setattr(sigterm, "_Watch", lambda *_: _raise(OSError("no sockets")))
    sigterm.watch(print)


def untraced(patch: Patch, _: Path) -> None:
    patch.setattr("zespan_serverless.providers.watch", fail)
    _observe._watch(Settings())


def unpropagated(patch: Patch, _: Path) -> None:
    patch.setattr("zespan_serverless._outbound.watch", fail)
    _observe._watch(Settings(propagate_to=("ingest.example",)))


def no_time(patch: Patch, _: Path) -> None:
    zespan.init(api_key=SECRET, base_url="http://127.0.0.1:9", flush_reserve=5.0, flush_mode="before_return")
    zespan.zespan_lambda(lambda event, context: None)({}, LambdaContext(timeout=2.0))


def not_forwarded(patch: Patch, _: Path) -> None:
    from zespan_serverless.aws_lambda import forwarder

    record = {"messageId": "m1", "eventSource": "aws:sqs", "body": "nothing that was parked"}
    forwarder.handler({"Records": [record]}, LambdaContext())


def hangs(notices: Notices) -> None:
    notices._busy["on_flush"] = (1, 0.0)
    notices.flushed(FlushReport())


class Hostile(list[Any]):
    __iter__ = fail


def handler_untraced(patch: Patch, folder: Path) -> None:
    """Have the layer's handler find one that cannot be decorated."""
    _auto(patch, folder)
    patch.setattr("zespan_serverless.aws_lambda.zespan_lambda", fail)
    importlib.import_module("zespan_serverless.aws_lambda.auto")


def start_unreported(patch: Patch, folder: Path) -> None:
    """Have the layer's handler fail to find one, and to report it."""
    _auto(patch, folder)
    patch.setenv("ZESPAN_LAMBDA_HANDLER", "no_such_module.handler")
    patch.setattr("zespan_serverless._observe.start", fail)
    with contextlib.suppress(Exception):
        importlib.import_module("zespan_serverless.aws_lambda.auto")


def _auto(patch: Patch, folder: Path) -> None:
    (folder / "provoked_app.py").write_text("def handler(event, context): return 1\n")
    patch.syspath_prepend(folder)
    patch.setenv("ZESPAN_LAMBDA_HANDLER", "provoked_app.handler")
    patch.setenv("_HANDLER", "")
    name = "zespan_serverless.aws_lambda.auto"
    patch.setitem(sys.modules, name, ModuleType(name))  # so that the module is gone afterwards if it was not there
    patch.delitem(sys.modules, name)


PROVOKED: dict[str, Provocation] = {
    "away-dns": away("gaierror: [Errno -2] Name or service not known"),
    "away-refused": away("ConnectionRefusedError: [Errno 111] Connection refused"),
    "away-timeout": away("no answer within 1.0 s"),
    "away-tls": away("SSLCertVerificationError: certificate verify failed"),
    "away-proxy": away("OSError: the proxy refused to connect to ingest.example:443: HTTP 403"),
    "away-path": away("HTTP 404"),
    "away-redirect": away("HTTP 307"),
    "away-page": away("HTTP 200 with a page in HTML, which no ingest answers"),
    "away-busy": away("HTTP 429"),
    "away-server": away("HTTP 500"),
    "away-key": away("Unavailable: the API key cannot be read from ssm:/key: no answer"),
    "away-other": away("OSError: no"),
    "delivered-again": lambda _, __: noticed(lambda n: n.unreachable("HTTP 500", 1), Notices.delivered),
    "no-time": no_time,
    **{
        f"dropped-{reason}": dropped(reason)
        for reason in ("buffer_full", "unauthorized", "refused", "too_large", "unencodable", "closed", "torn")
    },
    "journal-expired": expired_journal,
    "not-forwarded": not_forwarded,
    "journal-unreadable": unreadable_journal,
    "journal-failed": lambda _, __: noticed(lambda n: n.journal("/tmp/x failed: no")),
    "journal-back": lambda _, __: noticed(lambda n: n.journal("/x failed: no"), lambda n: n.journal("")),
    "journal-unsupported": unfit_platform,
    "no-key": variables(),
    "key-quoted": variables(API_KEY=f'"{SECRET}"'),
    "key-unusual": variables(API_KEY="sk-0123456789abcdef4f2a"),
    "no-tls": variables(API_KEY=SECRET, BASE_URL="http://ingest.example"),
    "variable-misspelled": variables(APIKEY=SECRET),
    "variable-code-only": variables(ON_ERROR="print"),
    "variable-unreadable": variables(FLUSH_TIMEOUT="soon"),
    "out-of-range": variables(FLUSH_TIMEOUT="1e9"),
    "pairs-unreadable": lambda _, __: resolve({"exporter": "otlp"}, {"OTEL_EXPORTER_OTLP_HEADERS": SECRET}),
    "otlp-variable": lambda _, __: resolve({"exporter": "otlp"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}),
    "settings-differ": in_memory(lambda: zespan.init(exporter="memory", environment="other")),
    "off-in-tests": lambda _, __: resolve({}, {"PYTEST_VERSION": "8", "ZESPAN_API_KEY": SECRET}),
    "no-extension": no_extension,
    "handler-untraced": handler_untraced,
    "start-unreported": start_unreported,
    "calls-untraced": untraced,
    "not-patched": not_patched,
    "wrap-nothing": in_memory(lambda: zespan.wrap(object())),
    "stream-unread": lambda _, __: StreamReader.see(
        like(first_chunk_ms=1, pieces=like(add=fail)),
        PROMPT,
    ),
    "call-not-in-journal": lambda _, __: ModelCall.begun(like(_note_begin=fail, resume=bool)),
    "not-propagated": unpropagated,
    "no-span": in_memory(zespan.current_span),
    "span-arguments": in_span(bool, kind="tol"),
    "span-method": in_span(lambda step: step.usage(input_tokens=1)),
    "field-unknown": in_memory(lambda: zespan.capture({"input_token": 1})),  # type: ignore[typeddict-unknown-key]
    "metadata-left-out": in_span(bool, metadata=5),
    "too-many-tags": in_memory(lambda: zespan.with_context(tags={str(n): "x" for n in range(200)}).__enter__()),
    "not-a-number": in_span(
        lambda step: step.usage(input_tokens="many"), kind="llm", model="m", provider="p", messages=PROMPT
    ),
    "prompt-unread": in_span(bool, kind="llm", model="m", provider="p", messages=Hostile()),
    "reader-failed": lambda _, __: handled(user_id=lambda event: event["user"]),
    "reader-awaitable": lambda _, __: handled(user_id=lambda event: _async(event)),
    "replaying-failed": in_span(bool, replaying=fail),
    "other-flush-failed": lambda _, __: (zespan.init(exporter="memory", flush=[fail]), zespan.flush()),
    "sdk-not-adopted": not_adopted,
    "sdk-failed": sdk_failed,
    "telemetry-failed": telemetry_failed,
    "listener-failed": lambda _, __: noticed(lambda n: n.dropped([Item(b"", 0.0)], "torn", ""), on_error=fail),
    "listener-hangs": lambda _, __: noticed(hangs, on_flush=print),
    "flush-report": lambda _, __: (zespan.init(exporter="memory", debug=True), zespan.flush()),
    "not-connected": lambda _, __: ExporterCalls(like(prepare=fail)).prepare(1.0),
    "sigterm-unwatched": no_watch,
}
"""How each line is provoked."""

ELSEWHERE = {
    "parked": ("tests/delivery/test_parking.py", "cannot have now is being parked in"),
    "fallback-failed": ("tests/delivery/test_parking.py", "cannot be parked in"),
    "fallback-off": ("tests/process/test_fallback.py", "there is no fallback"),
    "left-in-journal": ("tests/delivery/journal/test_ends.py", "telemetry events stay in the journal"),
    "destination-off": ("tests/process/test_destinations.py", "nothing is sent to"),
    "destination-twice": ("tests/process/test_destinations.py", "that is where"),
    "snapstart-flush": ("tests/aws_lambda/test_snapstart.py", "flushing before the return"),
    "snapstart-hooks": ("tests/aws_lambda/test_snapstart.py", "no snapshot_restore_py"),
    "stream-tokens": ("tests/providers/openai/test_streams.py", 'pass stream_options={"include_usage": True}'),
    "tokens-counted-inside": ("tests/observe/test_model_span.py", "a traced call inside it has them"),
    "other-flush-slow": ("tests/process/test_others.py", "is not waited for"),
    "sdk-calls-taken-over": ("tests/sdks/test_zespan.py", "are traced by zespan_serverless"),
}
"""Lines that need a host or an SDK: the test module that asserts each, and what part of it."""


async def _async(event: object) -> str:
    return PROMPT
