"""The extension against an Extensions API that can be made to do what Lambda's does once in a blue moon."""

from __future__ import annotations

import json
import multiprocessing.process
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

import pytest

from tests.aws_lambda.support import until
from zespan_serverless._base import log
from zespan_serverless.aws_lambda import _extension
from zespan_serverless.aws_lambda._extension import Extension

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime client is for Linux only")

RESERVE = 0.2


class Api:
    """Answers a registration, and each `next` with what has been put into `answers`: an event, or a status."""

    def __init__(self) -> None:
        self.answers: SimpleQueue[dict[str, Any] | int] = SimpleQueue()
        self.registration: int = 200
        self.registration_takes = 0.0
        self.registered: list[dict[str, Any]] = []
        self.asked = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api.registered.append(body)
                time.sleep(api.registration_takes)
                self.answer(api.registration, {})

            def do_GET(self) -> None:
                api.asked += 1
                answer = api.answers.get()
                self.answer(*((answer, {}) if isinstance(answer, int) else (200, answer)))

            def answer(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("lambda-extension-identifier", "me")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def invoke(self, request_id: str, seconds: float = 5) -> None:
        self.answers.put({"eventType": "INVOKE", "requestId": request_id, "deadlineMs": (time.time() + seconds) * 1000})

    def is_asked(self, times: int) -> None:
        """Wait until the extension has asked for its n-th event: then all before are released."""
        until(lambda: self.asked >= times)
        assert self.asked == times


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    before = set(threading.enumerate())
    api = Api()
    yield api
    # Nothing ends an extension's thread. It is put to sleep, or it would go on asking a server that is gone.
    asleep = threading.Semaphore(0)

    def sleep(*_: object) -> None:
        asleep.release()
        threading.Event().wait()

    monkeypatch.setattr(Extension, "_recover", sleep)
    for thread in set(threading.enumerate()) - before:
        if thread.name == "zespan-extension":
            api.answers.put(500)
            assert asleep.acquire(timeout=5)
    api.server.shutdown()
    api.server.server_close()
    api.thread.join()
    log.reset()


@pytest.fixture
def extension(api: Api) -> Extension:
    extension = Extension(api.address, ["INVOKE"], RESERVE)
    api.is_asked(1)
    return extension


@pytest.fixture
def register(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Extension | None]:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", api.address)
    monkeypatch.setenv(_extension.CLAIM, "")
    return lambda: _extension.register("auto", RESERVE, lambda _: None)


def test_flush_is_run_before_the_next_event_is_asked_for(api: Api, extension: Extension) -> None:
    """What the handler leaves is run once, and only then is the invocation released, long before its deadline; so again
    the next time."""
    ran: list[tuple[int, int]] = []
    for number in (1, 2, 3):
        api.invoke(f"r{number}", seconds=600)
        extension.begin(f"r{number}", lambda: None)
        time.sleep(0.05)
        assert extension.end(f"r{number}", lambda number=number: ran.append((api.asked, number)))  # type: ignore[misc]
        api.is_asked(number + 1)
        assert ran[-1] == (number, number)
    assert len(ran) == 3


def test_flush_of_a_fast_handler_waits_for_the_event(api: Api, extension: Extension) -> None:
    """A handler may be done before the thread has heard of its invocation: its flush waits for that."""
    ran: list[int] = []
    extension.begin("r1", lambda: None)
    assert extension.end("r1", lambda: ran.append(api.asked))
    time.sleep(0.05)
    assert ran == []
    api.invoke("r1")
    api.is_asked(2)
    assert ran == [1]


def test_invocation_is_released_at_its_deadline_less_the_reserve(api: Api) -> None:
    """The invocation is released at its deadline less the reserve; who ends it later is told to flush himself."""
    extension = Extension(api.address, ["INVOKE"], 2.0)
    api.is_asked(1)
    began = time.monotonic()
    api.invoke("r1", seconds=2.4)
    extension.begin("r1", lambda: None)
    api.is_asked(2)
    assert 0.3 < time.monotonic() - began < 2.4
    assert not extension.end("r1", lambda: pytest.fail("run nevertheless"))


def test_invocation_of_an_undecorated_handler_is_released_early(api: Api, extension: Extension) -> None:
    """An invocation of an undecorated handler is released long before its deadline."""
    began = time.monotonic()
    api.invoke("r1")
    api.is_asked(2)
    assert time.monotonic() - began < 3
    assert not extension.end("r1", lambda: pytest.fail("run nevertheless"))


def test_handler_is_waited_for_while_the_main_thread_computes(api: Api, extension: Extension) -> None:
    """While the main thread computes, it may be about to call the handler, and is waited for, however long."""
    api.invoke("r1")
    compute(0.7)
    assert api.asked == 1
    extension.begin("r1", lambda: None)
    time.sleep(0.05)
    assert extension.end("r1", lambda: None)
    api.is_asked(2)


def test_deadline_is_noted_without_the_lock(api: Api) -> None:
    """A handler still running at the deadline is noted; if it ends meanwhile, it does not wait for the note."""
    noted: list[float] = []
    go_on = threading.Event()

    def note(deadline: float) -> None:
        noted.append(deadline)
        go_on.wait(5)

    extension = Extension(api.address, ["INVOKE"], RESERVE, note)
    api.is_asked(1)
    api.invoke("r1", RESERVE + 0.1)
    extension.begin("r1", lambda: None)
    until(lambda: noted)
    ending = threading.Thread(target=extension.end, args=("r1", None))
    ending.start()
    ending.join(2)
    assert not ending.is_alive()
    go_on.set()
    api.is_asked(2)


def test_the_thread_puts_an_attended_invocation_on_record(api: Api, extension: Extension) -> None:
    """The thread that attends an invocation puts it on record; of one that it has released, the handler's does."""
    threads: list[str] = []
    api.invoke("r1")
    extension.begin("r1", lambda: threads.append(threading.current_thread().name))
    until(lambda: threads)
    extension.end("r1", None)
    api.is_asked(2)
    api.invoke("r2")
    api.is_asked(3)
    extension.begin("r2", lambda: threads.append(threading.current_thread().name))
    assert threads == ["zespan-extension", threading.current_thread().name]


def test_invocation_that_begins_at_its_release_is_on_record(
    api: Api, extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that is called when its invocation has just been given up is on record too."""
    put, recorded = extension._put_on_record, threading.Event()

    def called_meanwhile() -> None:
        monkeypatch.undo()
        put()
        extension.begin("r1", recorded.set)

    monkeypatch.setattr(extension, "_put_on_record", called_meanwhile)
    api.invoke("r1")
    api.is_asked(2)
    assert recorded.is_set()


def test_late_handler_is_not_waited_for_past_the_reserve(api: Api, extension: Extension) -> None:
    """But not past the deadline less the reserve."""
    api.invoke("r1", seconds=0.4)
    compute(0.3)
    api.is_asked(2)


def test_busy_thread_does_not_delay_the_release(api: Api, extension: Extension) -> None:
    """A thread that never rests is not what calls the handler: the invocation is released all the same."""
    over = threading.Event()

    def never_rest() -> None:
        while not over.is_set():
            pass

    thread = threading.Thread(target=never_rest)
    thread.start()
    try:
        began = time.monotonic()
        api.invoke("r1")
        api.is_asked(2)
        assert time.monotonic() - began < 4
    finally:
        over.set()
        thread.join()


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_only_the_first_end_leaves_its_flush_to_the_thread(api: Api, extension: Extension) -> None:
    """Only the first end leaves its flush to the thread, before and after the release: no other is ever forgotten."""
    ran: list[str] = []
    extension.begin("r1", lambda: None)
    assert extension.end("r1", lambda: ran.append("first"))
    assert not extension.end("r1", lambda: ran.append("second"))
    api.invoke("r1")
    api.is_asked(2)
    assert not extension.end("r1", lambda: ran.append("third"))
    api.invoke("r2")
    assert extension.end("r2", lambda: ran.append("next"))
    api.is_asked(3)
    assert ran == ["first", "next"]


def test_retry_with_the_same_id_flushes_itself(api: Api, extension: Extension) -> None:
    """An event that Lambda tries again has the same id: no thread waits for it, and the caller flushes itself."""
    for number, left in ((1, True), (2, False)):
        api.invoke("r1")
        extension.begin("r1", lambda: None)
        time.sleep(0.05)
        assert extension.end("r1", lambda: None) is left
        api.is_asked(number + 1)


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_flush_that_raises_does_not_keep_the_invocation(
    api: Api, extension: Extension, error: type[BaseException]
) -> None:
    """Whatever a flush raises, the invocation is released, and so is the next one."""

    def flush() -> None:
        raise error

    for number in (1, 2):
        api.invoke(f"r{number}")
        extension.begin(f"r{number}", lambda: None)
        extension.end(f"r{number}", flush)
        until(lambda number=number: api.asked > number)  # type: ignore[misc]


def test_an_invocation_may_end_within_the_end_of_another(extension: Extension) -> None:
    """A signal handler that calls a handler may strike at any call in there: neither of the two ends raises."""
    seen: list[str] = []
    for place in range(1, 9):
        seen = []

        def strike(frame: types.FrameType, event: str, _: object, place: int = place, seen: list[str] = seen) -> None:
            if frame.f_code is Extension.end.__code__:
                seen.append(event)
                if len(seen) == place:
                    sys.setprofile(None)
                    extension.end("inner", None)

        extension._wakeup.acquire(blocking=False)  # as while the thread waits
        sys.setprofile(strike)
        try:
            extension.end("outer", None)
        finally:
            sys.setprofile(None)
        assert not extension._wakeup.locked()
    assert seen[-1] == "return"


@pytest.mark.parametrize("answer", [500, {"eventType": "INVOKE"}, {"eventType": "SHUTDOWN"}, {}])
def test_nonsense_from_the_api_is_followed_by_another_request(
    api: Api, extension: Extension, answer: dict[str, Any] | int
) -> None:
    """Lambda is asked again, whatever it says: an extension that does not ask makes every invocation time out."""
    for _ in range(4):
        api.answers.put(answer)
    api.is_asked(5)
    api.invoke("r1")
    extension.begin("r1", lambda: None)
    time.sleep(0.05)
    assert extension.end("r1", lambda: None)
    api.is_asked(6)


def test_flush_is_run_although_the_api_fails(api: Api, extension: Extension) -> None:
    """What has been left to the thread is run even if it never hears of the invocation; then no more is left to it."""
    ran: list[str] = []
    assert extension.end("r1", lambda: ran.append("first"))
    api.answers.put(500)
    api.is_asked(2)
    assert ran == ["first"]
    assert not extension.end("r2", lambda: ran.append("second"))
    api.invoke("r2")
    api.is_asked(3)
    api.invoke("r3")
    time.sleep(0.05)
    extension.begin("r3", lambda: None)
    assert extension.end("r3", lambda: ran.append("third"))
    api.is_asked(4)
    assert ran == ["first", "third"]


def test_refused_registration_is_no_error(api: Api, register: Callable[[], Extension | None]) -> None:
    """A refusal is not an error, and no thread requests events."""
    api.registration = 403
    assert register() is None
    time.sleep(0.05)
    assert (len(api.registered), api.asked) == (1, 0)


@pytest.mark.slow
def test_late_registration_is_asked_for_events(
    api: Api, register: Callable[[], Extension | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """We go on without, but a registration that comes about all the same is asked for events: else init would hang."""
    monkeypatch.setattr(_extension, "_REGISTER_TIMEOUT", 0.1)
    api.registration_takes = 2
    began = time.monotonic()
    assert register() is None
    assert time.monotonic() - began < 1.5
    api.is_asked(1)
    api.invoke("r1")
    api.is_asked(2)


def test_nothing_is_registered_where_no_thread_can_be_started(
    api: Api, register: Callable[[], Extension | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started nothing is registered, because no thread could request events."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert register() is None
    assert api.registered == []


def test_address_of_the_api_may_be_ipv6(api: Api) -> None:
    """Its address is written as in a URL."""
    taken = Extension(api.address.replace("127.0.0.1", "[127.0.0.1]"), ["INVOKE"], RESERVE)
    assert taken._id == "me"
    taken._events.clear()


def test_api_that_does_not_answer_is_no_error(
    register: Callable[[], Extension | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that does not respond is not an error either."""
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
    assert register() is None


def test_only_the_process_of_the_runtime_client_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the process that runs Lambda's runtime client registers: no child, and none that has another's claim."""
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
    monkeypatch.delenv(_extension.CLAIM, raising=False)
    assert not _extension.in_runtime_process()
    monkeypatch.setitem(sys.modules, "awslambdaric.bootstrap", types.ModuleType("awslambdaric.bootstrap"))
    assert _extension.in_runtime_process()
    with monkeypatch.context() as patch:  # a spawned child, whose main module is the parent's
        patch.setattr(multiprocessing.process, "parent_process", object)
        assert not _extension.in_runtime_process()
    monkeypatch.setenv(_extension.CLAIM, str(os.getpid()))
    assert _extension.in_runtime_process()
    monkeypatch.setenv(_extension.CLAIM, str(os.getppid()))
    assert not _extension.in_runtime_process()
    monkeypatch.delenv(_extension.CLAIM)
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API")
    assert not _extension.in_runtime_process()


@pytest.mark.slow
def test_call_without_context_learns_the_deadline(api: Api, extension: Extension) -> None:
    """A call without a context learns the deadline from the extension, as long as there is one."""
    assert extension.clock() is None
    api.invoke("r1", seconds=1.5)
    until(lambda: extension.clock() is not None)
    clock = extension.clock()
    assert clock is not None
    assert 0 < clock() < 1.5
    extension.end("r1", None)
    until(lambda: extension.clock() is None)
    assert clock() <= 0
