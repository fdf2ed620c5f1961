"""The API key from AWS Secrets Manager or Parameter Store: read when there is something to send, and cached.

boto3, which every Python runtime of Lambda has, reads it in a separate thread. If the import, name resolution or the
service hangs, the sender is not kept longer than its timeout.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._base import threads
from .._base.forks import importing

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = "arn:aws:secretsmanager:..., arn:aws:ssm:..., or ssm:/name; #field after it picks one of a JSON secret's"

FRESH = 60.0
"""Seconds after a read that a refused key has caused, in which another refusal causes none."""
GIVEN_UP = 30.0
"""Seconds after which a read that has not returned is abandoned, and another begins."""
_LOOK = 0.05  # seconds between two checks of a waiting thread for cancellation
_TIMEOUT = 3  # seconds that boto3 waits for a connection, and for a response

_THREAD = "zespan-secret"

_FORM = re.compile(
    r"(?:ssm:(?P<name>[\w./:-]+)"
    r"|(?P<parameter>arn:[\w-]+:ssm:(?P<region>[\w-]+):\d*:parameter/[\w./-]+(?::[\w.-]+)?)"
    r"|(?P<arn>arn:[\w-]+:secretsmanager:(?P<home>[\w-]+):\d*:secret:[\w/+=.@!-]+))"
    r"(?:#(?P<field>.+))?",
    re.ASCII,
)


def is_source(text: str) -> bool:
    """Whether `text` names a secret that can be read."""
    return _FORM.fullmatch(text) is not None


class Unavailable(OSError):
    """The key is unavailable at the moment; the message says why."""


class Secret:
    """A key that is stored elsewhere. `get` belongs to the sender; any thread may call `cancel` and `forget`."""

    def __init__(self, source: str, read: Callable[[str], str] | None = None) -> None:
        import_module("concurrent.futures.thread")  # boto3 starts threads, and cannot while the interpreter shuts down
        self._source, self._read = source, read or read_aws
        self.forget()

    def forget(self) -> None:
        """Read it again next time: after a fork, and after a restore."""
        self._lock = threads.RLock()
        self._value = ""
        self._renewed_at = self._began = 0.0  # wall clock, because the monotonic clock stops while a sandbox is frozen
        self._reading: threading.Thread | None = None
        self._problem = ""
        self._cancelled = False

    def begin(self) -> None:
        """Start reading while the function is busy, unless boto3 has not been imported yet.

        If two threads import modules that depend on each other, one may see a half-initialized module; and the other
        thread may run the function.
        """
        spec = getattr(sys.modules.get("boto3"), "__spec__", None)
        if spec is None or getattr(spec, "_initializing", False):
            return
        with self._lock:
            if not self._value:
                self._start()

    def get(self, timeout: float) -> str:
        """Return the key. Raises Unavailable if it cannot be read within `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._lock:
            self._cancelled, self._problem = False, ""
            is_mine = not (self._value or self._start())
            if is_mine:
                self._reading, self._began = threading.current_thread(), time.time()
        if is_mine:
            self._run()
        while not (value := self._value):
            left = until - time.monotonic()
            if self._problem or self._cancelled or left <= 0:
                raise Unavailable(f"the API key cannot be read from {self._source}: {self._problem or 'no answer'}")
            reading = self._reading
            if reading is not None:
                reading.join(min(left, _LOOK))
            else:  # forgotten meanwhile
                time.sleep(min(left, _LOOK))
        return value

    def renew(self, refused: str, timeout: float) -> str | None:
        """Return another key than the one that the backend has refused; None if there is none."""
        with self._lock:
            if self._value == refused:
                if 0 <= time.time() - self._renewed_at < FRESH:
                    return None
                self._value, self._renewed_at = "", time.time()
        key = self.get(timeout)
        return None if key == refused else key

    def cancel(self) -> None:
        """Make a `get` in another thread end soon. Takes no lock, because a finalizer or signal handler that calls this
        may have interrupted the thread that holds it."""
        self._cancelled = True

    def _start(self) -> bool:
        """Start a thread that reads the key (lock held). Return False if this thread has to read it.

        Some versions of Python (3.12.0 and 3.12.1) start no threads while the interpreter shuts down. Then the sender
        reads it; a flush that waits for the sender still ends on time. Elsewhere it is an error if no thread can be
        started, because the user's thread could hang.
        """
        if self._reading is None or not 0 <= time.time() - self._began < GIVEN_UP:
            try:
                # The new thread blocks on the lock that this one holds.
                self._reading = threads.start(_THREAD, self._run)
                self._began = time.time()
            except RuntimeError:
                main = threading.main_thread()
                if main.is_alive() or threading.current_thread() is main:
                    raise
                return False
        return True

    def _run(self) -> None:
        value = problem = ""
        try:
            value = self._read(self._source)
            if not (value and value.isascii() and value.isprintable()):
                value, problem = "", "what is there is no API key"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        with self._lock:
            if self._reading is threading.current_thread():
                self._value, self._problem, self._reading = value, problem, None


def read_aws(source: str) -> str:
    """Return the text of a secret or parameter. Raises the exceptions of boto3, and ImportError without it."""
    form = _FORM.fullmatch(source)
    if form is None:
        raise ValueError(f"use {FORMS}")
    logging.getLogger("botocore.parsers").addFilter(_is_not_ours)  # at the level DEBUG it logs every response
    service = "secretsmanager" if form["arn"] else "ssm"
    with importing():
        import_module("encodings.idna")  # resolving the name would
        from boto3.session import Session
        from botocore.config import Config

        config = Config(connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"total_max_attempts": 2})
        session = Session()  # the default session belongs to the user, and is not thread-safe
    if session.get_credentials() is None:  # may use the network, and no fork should wait for that
        raise LookupError("no AWS credentials")
    with importing():
        client: Any = session.client(service, region_name=form["home"] or form["region"], config=config)
    if form["arn"]:
        found = client.get_secret_value(SecretId=form["arn"])
        text: str = found["SecretString"] if "SecretString" in found else found["SecretBinary"].decode()
    else:  # in another account, which needs the full ARN
        text = client.get_parameter(Name=form["name"] or form["parameter"], WithDecryption=True)["Parameter"]["Value"]
    return _field(text, form["field"]).strip()


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not threading.current_thread().name.startswith("zespan-")


def _field(text: str, field: str | None) -> str:
    """Return one value of a secret that is a JSON object: `field`, or api_key."""
    if field is None and not text.lstrip().startswith("{"):
        return text
    value = json.loads(text)[field or "api_key"]
    if not isinstance(value, str):
        raise TypeError(f"{field or 'api_key'} is no string")
    return value
