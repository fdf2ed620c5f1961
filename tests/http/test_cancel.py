"""A request that is cut off from outside, at whatever stage it is."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.http.support import Mute, Posting, eventually, post
from zespan_serverless._http.answer import Answer
from zespan_serverless._http.client import Channel
from zespan_serverless._http.transport import Transport, _Connection
from zespan_serverless.testing import Backend


@pytest.mark.parametrize("mode", ["hang", "drip"])
@pytest.mark.parametrize("kept", [False, True])
def test_cancel_ends_the_wait_for_an_answer(
    backend: Backend, connect: Callable[[str], Transport], mode: Any, kept: bool
) -> None:
    """The blocked thread returns at once; it does not try again, on a kept-alive connection either."""
    transport = connect(backend.url)
    if kept:
        post(transport)
    before = len(backend.requests)
    backend.mode, backend.drip_interval = mode, 0.05
    posting = Posting(transport)
    eventually(lambda: len(backend.requests) > before)
    time.sleep(0.05)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)
    assert len(backend.requests) == before + 1
    backend.mode = "ok"
    assert post(transport) == 200


@pytest.mark.parametrize("kept", [False, True])
def test_cancel_ends_the_wait_for_an_answer_over_tls(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None, kept: bool
) -> None:
    """The same, and nothing is torn from under OpenSSL."""
    transport = connect(tls_backend.url)
    if kept:
        post(transport)
    before = len(tls_backend.requests)
    tls_backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: len(tls_backend.requests) > before)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)
    assert len(tls_backend.requests) == before + 1
    tls_backend.mode = "ok"
    assert post(transport) == 200


def test_cancel_ends_the_tls_handshake(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """A server that takes the connection and never says hello."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    posting = Posting(transport)
    eventually(lambda: mute.accepted and mute.accepted[0].recv(1, socket.MSG_PEEK))
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


def test_cancel_before_the_tls_handshake_prevents_it(
    mute: Mute, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling works also between the connection and the handshake."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    wrap = ssl.SSLContext.wrap_bio

    def cancelled(*args: Any, **kwargs: Any) -> ssl.SSLObject:
        wrapped = wrap(*args, **kwargs)
        transport.cancel()
        return wrapped

    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", cancelled)
    began = time.monotonic()
    with pytest.raises(OSError, match="closed"):
        post(transport)
    assert time.monotonic() - began < 4


def test_cancel_ends_the_opening_of_a_tunnel(
    mute: Mute, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that never answers CONNECT."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{mute.port}")
    transport = connect("https://backend.example")
    posting = Posting(transport)
    eventually(lambda: mute.accepted and mute.accepted[0].recv(1, socket.MSG_PEEK))
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


def test_cancel_ends_sending(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """`cancel` ends the sending of a body that the peer does not read."""
    transport = connect(f"http://127.0.0.1:{mute.port}")
    posting = Posting(transport, b"x" * 50_000_000)
    eventually(lambda: mute.accepted)
    time.sleep(0.1)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


def cancelled_in_resolution(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> tuple[Posting, threading.Event]:
    """Cancel a request while its host's name is resolved. Return it, and the event that ends the resolution."""
    resolve, entered, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        assert go_on.wait(10)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    posting = Posting(transport)
    assert entered.wait(5)
    transport.cancel()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return posting, go_on


@pytest.mark.parametrize("secure", [False, True])
def test_cancel_during_name_resolution_takes_effect_afterwards(
    backend: Backend,
    tls_backend: Backend,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
    secure: bool,
) -> None:
    """Name resolution cannot be aborted; when it ends, nothing is sent any more, and the next request is not
    disturbed."""
    target = tls_backend if secure else backend
    transport = connect(target.url)
    posting, go_on = cancelled_in_resolution(transport, monkeypatch)
    assert post(transport) == 200
    go_on.set()
    assert isinstance(posting.ends(), TimeoutError)
    assert [post(transport), len(target.events), len(target.requests)] == [200, 2, 2]


def test_late_thread_does_not_affect_its_successor(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that was given up in name resolution ends; the request that has taken its place can still be cut off."""
    transport = connect(backend.url)
    late, go_on = cancelled_in_resolution(transport, monkeypatch)
    backend.mode = "hang"
    successor = Posting(transport)
    eventually(lambda: backend.requests)
    go_on.set()
    late.ends()
    transport.cancel()
    assert isinstance(successor.ends(), OSError)


def test_connection_cancelled_after_its_answer_is_not_kept(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer counts; the connection, which is cut, is not kept."""
    transport = connect(backend.url)
    receive = Channel.receive

    def cancelled(channel: Channel, **kwargs: bool) -> Answer:
        answer = receive(channel, **kwargs)
        transport.cancel()
        return answer

    monkeypatch.setattr(Channel, "receive", cancelled)
    assert [post(transport), post(transport)] == [200, 200]
    assert backend.connections == 2


def test_connection_cancelled_while_connecting_is_not_used(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """What was opened ahead and cut off meanwhile is not used."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    errors: list[BaseException] = []

    def ahead() -> None:
        try:
            transport.connect(5)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=ahead, daemon=True)
    thread.start()
    eventually(lambda: mute.accepted)
    time.sleep(0.05)
    transport.cancel()
    thread.join(1)
    assert len(errors) == 1


def test_connection_is_closed_by_the_thread_that_uses_it(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed under a thread that reads, its number may be another file's by the time that it reads on."""
    closers: set[threading.Thread] = set()
    close = _Connection.close

    def spy(connection: _Connection) -> None:
        closers.add(threading.current_thread())
        close(connection)

    monkeypatch.setattr(_Connection, "close", spy)
    transport = connect(backend.url)
    backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: backend.requests)
    transport.cancel()
    transport.close()
    posting.ends()
    assert closers == {posting.thread}


def test_close_does_not_touch_a_busy_connection(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """In a forked child it is the parent's, and shares its socket: neither closing nor cancelling may touch it."""
    transport = connect(backend.url)
    backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: backend.requests)
    transport.close()
    transport.cancel()
    backend.mode = "ok"
    assert posting.ends(5) == 200


def test_cancel_without_a_request_keeps_the_idle_connection(
    backend: Backend, connect: Callable[[str], Transport]
) -> None:
    """The next request uses it."""
    transport = connect(backend.url)
    transport.cancel()
    post(transport)
    transport.cancel()
    assert post(transport) == 200
    assert backend.connections == 1


def test_cancel_at_any_moment_ends_the_request_soon(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """A thread that cancels all the time: every post ends soon, in an answer or an OSError, and the last one works."""
    transport, stop, dice = connect(backend.url), threading.Event(), random.Random(5)

    def cancelling() -> None:
        while not stop.is_set():
            transport.cancel()
            time.sleep(dice.random() * 0.003)

    thread = threading.Thread(target=cancelling, daemon=True)
    thread.start()
    outcomes = [Posting(transport).ends(5) for _ in range(150)]
    stop.set()
    thread.join(5)
    assert all(o == 200 or isinstance(o, OSError) for o in outcomes)
    assert any(o != 200 for o in outcomes)
    assert post(transport) == 200
