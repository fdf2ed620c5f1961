"""The API key from AWS: read from a real service's stand-in over HTTP, kept, read again, and never waited for."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.session import Session
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

import zespan_serverless
from zespan_serverless import ConfigurationError, testing, zespan_lambda
from zespan_serverless._platforms import secrets
from zespan_serverless._platforms.secrets import Secret, Unavailable, is_source, read_aws
from zespan_serverless.settings import check, resolve
from zespan_serverless.testing import Backend, LambdaContext

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:zespan/key-AbCdEf"


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Parameter Store and Secrets Manager, as moto plays them: its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(service: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """aws("ssm"): a client, in an environment in which boto3 talks to `service`."""
    environment = {
        "AWS_ENDPOINT_URL": service,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda name: Session().client(name)


def put(aws: Callable[[str], Any], name: str, value: str) -> None:
    aws("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "timed out waiting"
        time.sleep(0.005)


class Reader:
    """A secret service in this process: what it says, how often it was asked, and until when it hangs."""

    def __init__(self, value: str = "zsp_1") -> None:
        self.value, self.asked, self.go_on = value, 0, threading.Event()
        self.go_on.set()

    def __call__(self, source: str) -> str:
        self.asked += 1
        self.go_on.wait(5)
        if not self.value:
            raise PermissionError("AccessDeniedException")
        return self.value


@pytest.mark.slow
def test_from_parameter_store(aws: Callable[[str], Any]) -> None:
    """By name, or by ARN; decrypted, without white space around it."""
    put(aws, "/zespan/api-key", " zsp_parameter\n")
    assert read_aws("ssm:/zespan/api-key") == "zsp_parameter"
    assert read_aws("arn:aws:ssm:eu-west-1:123456789012:parameter/zespan/api-key") == "zsp_parameter"


@pytest.mark.slow
def test_from_secrets_manager(aws: Callable[[str], Any]) -> None:
    """A plain secret, the api_key of a JSON one, or the field that is named."""
    client = aws("secretsmanager")
    plain = client.create_secret(Name="zespan/plain", SecretString="zsp_plain")["ARN"]
    values = json.dumps({"api_key": "zsp_of_object", "staging": "zsp_staging"})
    several = client.create_secret(Name="zespan/several", SecretString=values)["ARN"]
    assert [read_aws(source) for source in (plain, several, f"{several}#staging")] == [
        "zsp_plain",
        "zsp_of_object",
        "zsp_staging",
    ]
    with pytest.raises(KeyError):
        read_aws(f"{several}#production")


@pytest.mark.slow
def test_an_invocation_sends_with_the_key(aws: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is read once, for all invocations; a key given directly is not read at all."""
    put(aws, "/zespan/api-key", "zsp_1")
    asked: list[str] = []

    def read(source: str) -> str:
        asked.append(source)
        return read_aws(source)

    monkeypatch.setattr(secrets, "read_aws", read)
    with Backend() as backend:
        backend.api_key = "zsp_1"

        @zespan_lambda(api_key_secret="ssm:/zespan/api-key", base_url=backend.url, flush_timeout=10)
        def handler(event: object, context: object) -> None: ...

        for _ in range(3):
            handler({}, LambdaContext(timeout=60))
        assert len(backend.wait_for(3)) == 3
        assert asked == ["ssm:/zespan/api-key"]
        testing.reset()
        zespan_serverless.init(api_key="zsp_1", api_key_secret="ssm:/zespan/api-key", base_url=backend.url)
        zespan_serverless.capture({})
        zespan_serverless.flush()
        assert len(backend.wait_for(4)) == 4
        assert len(asked) == 1


@pytest.mark.slow
def test_a_key_that_is_rotated(aws: Callable[[str], Any]) -> None:
    """A key that is refused, however short ago it was read, is read again, and what was refused is sent again."""
    put(aws, "/zespan/api-key", "zsp_1")
    with Backend() as backend:
        backend.api_key = "zsp_1"
        zespan_serverless.init(api_key_secret="ssm:/zespan/api-key", base_url=backend.url)
        for key in ("zsp_1", "zsp_2"):
            backend.api_key = key
            put(aws, "/zespan/api-key", key)
            zespan_serverless.capture({})
            report = zespan_serverless.flush()
            assert (report.delivered, report.dropped, report.pending) == (1, 0, 0)
        assert [request.status for request in backend.requests] == [200, 401, 200]


def test_a_key_that_stays_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again at most once in a while; its events are dropped and counted."""
    reader = Reader("zsp_wrong")
    monkeypatch.setattr(secrets, "read_aws", reader)
    with Backend() as backend:
        backend.api_key = "zsp_right"
        zespan_serverless.init(api_key_secret="ssm:/k", base_url=backend.url)
        for _ in range(3):
            zespan_serverless.capture({})
            assert zespan_serverless.flush().dropped == 1
        assert (len(backend.requests), reader.asked) == (3, 2)
        monkeypatch.setattr(secrets, "FRESH", 0.0)
        zespan_serverless.capture({})
        assert zespan_serverless.flush().dropped == 1
        assert (len(backend.requests), reader.asked) == (4, 3)


def test_no_event_is_lost_while_the_service_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Events wait until the key can be read; what stands in the way is said once, with the name of the secret."""
    reader = Reader("")
    monkeypatch.setattr(secrets, "read_aws", reader)
    with Backend() as backend:
        zespan_serverless.init(api_key_secret="ssm:/zespan/api-key", base_url=backend.url)
        for number in (1, 2):
            zespan_serverless.capture({})
            report = zespan_serverless.flush(0.2)
            assert (report.pending, report.dropped) == (number, 0)
        assert backend.requests == []
        reader.value = "zsp_1"
        assert zespan_serverless.flush().pending == 0
        assert len(backend.events) == 2
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    away, again = said
    assert "ssm:/zespan/api-key: PermissionError: AccessDeniedException" in away
    assert away.endswith("#away-key)")
    assert again.endswith("#delivered-again)")


def test_a_service_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush ends at its deadline; the reading goes on, once, and the next flush finds the key."""
    reader = Reader()
    reader.go_on.clear()
    monkeypatch.setattr(secrets, "read_aws", reader)
    with Backend() as backend:
        zespan_serverless.init(api_key_secret="ssm:/k", base_url=backend.url)
        for number in (1, 2):
            zespan_serverless.capture({})
            report = zespan_serverless.flush(0.1)
            assert (report.pending, report.reason) == (number, "deadline")
        reader.go_on.set()
        assert zespan_serverless.flush().pending == 0
        assert (len(backend.events), reader.asked) == (2, 1)


def test_a_reading_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while another begins; what the first still finds is of no interest."""
    first, reader = threading.Event(), Reader("zsp_second")
    calls: list[int] = []

    def read(source: str) -> str:
        calls.append(1)
        if len(calls) == 1:
            first.wait(5)
            return "zsp_first"
        return reader(source)

    secret = Secret("ssm:/k", read)
    with pytest.raises(Unavailable, match="no answer"):
        secret.get(0.05)
    monkeypatch.setattr(secrets, "GIVEN_UP", 0.0)
    assert secret.get(5) == "zsp_second"
    first.set()
    until(lambda: not any(thread.name == "zespan-secret" for thread in threading.enumerate()))
    assert secret.get(0) == "zsp_second"


def test_a_waiting_thread_can_be_cancelled() -> None:
    """`cancel` ends a `get` in another thread; the next one is not affected."""
    reader = Reader()
    reader.go_on.clear()
    secret = Secret("ssm:/k", reader)
    raised: list[BaseException] = []

    def get() -> None:
        try:
            secret.get(60)
        except Unavailable as error:
            raised.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    while thread.is_alive():  # it may not wait yet
        secret.cancel()
        thread.join(0.01)
    assert len(raised) == 1
    reader.go_on.set()
    assert secret.get(5) == "zsp_1"


def test_cancelling_does_not_wait() -> None:
    """A thread that holds the secret's lock may be waiting for that of the caller."""
    secret = Secret("ssm:/key", lambda _: "zsp_key")
    with secret._lock:
        calling = threading.Thread(target=secret.cancel, daemon=True)
        calling.start()
        calling.join(5)
        assert not calling.is_alive()


def test_the_key_is_read_again_after_a_restore_or_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restore, or in a forked child, the key is read anew."""
    reader = Reader()
    secret = Secret("ssm:/k", reader)
    assert secret.get(5) == "zsp_1"
    reader.value = "zsp_2"
    assert secret.get(5) == "zsp_1"
    secret.forget()
    assert secret.get(5) == "zsp_2"
    assert reader.asked == 2


def test_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails now, and works as soon as one can."""
    secret = Secret("ssm:/k", Reader())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more threads")))
        with pytest.raises(RuntimeError):
            secret.get(1)
    assert secret.get(5) == "zsp_1"


@pytest.mark.parametrize("value", ["", "zsp\n1", "schlüssel"])
def test_what_is_no_key(value: str) -> None:
    """What no header can carry is not sent."""
    with pytest.raises(Unavailable, match="no API key"):
        Secret("ssm:/k", lambda _: value).get(5)


def test_missing_boto3_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that boto3 is missing."""
    for name in ("boto3", "boto3.session"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unavailable, match="boto3"):
        Secret("ssm:/k").get(5)


@pytest.mark.slow
def test_a_dead_service_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 is told not to wait for long: a service that never answers is an error in the end."""
    monkeypatch.setattr(secrets, "_TIMEOUT", 0.1)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as mute:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{mute.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        with pytest.raises(Unavailable, match="ReadTimeoutError"):
            Secret("ssm:/k").get(30)


@pytest.mark.parametrize(
    "source",
    [
        "ssm:/zespan/api-key",
        "ssm:zespan.key_1",
        "ssm:/zespan/api-key:3",
        "arn:aws:ssm:eu-west-1:123456789012:parameter/zespan/api-key",
        "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/k#field",
        ARN,
        f"{ARN}#staging",
    ],
)
def test_every_documented_form_is_accepted(source: str) -> None:
    """Every form that is documented is accepted."""
    assert is_source(source)
    assert resolve({}, {"ZESPAN_API_KEY_SECRET": source}).api_key_secret == source


@pytest.mark.parametrize("source", ["zsp_live_123", "ssm:", "arn:aws:s3:::bucket", "ssm:/a b", f"{ARN}#", "/zespan/k"])
def test_a_wrong_form_says_what_to_type(source: str, caplog: pytest.LogCaptureFixture) -> None:
    """In code it raises, in the environment it is logged; it may be the key itself, and is not shown."""
    with pytest.raises(ConfigurationError, match=r"ssm:/name") as caught:
        check({"api_key_secret": source})
    assert resolve({}, {"ZESPAN_API_KEY_SECRET": source}).api_key_secret is None
    assert "ZESPAN_API_KEY_SECRET ignored: api_key_secret must be like" in caplog.text
    assert "zsp_live_123" not in f"{caught.value}{caplog.text}"


@given(st.text() | st.from_regex(secrets._FORM))
def test_any_text_can_be_asked_about(text: str) -> None:
    """Whether it names a secret or not."""
    assert is_source(text) in (True, False)


@pytest.mark.slow
def test_a_fork_while_boto3_is_imported() -> None:
    """The child can import it, too: it does not inherit the import lock of a half-imported module."""
    script = """
import os, threading, time, zespan_serverless
zespan_serverless.init(api_key_secret="ssm:/k", base_url="http://127.0.0.1:9")
zespan_serverless.capture({})
while not any(thread.name == "zespan-secret" for thread in threading.enumerate()):
    time.sleep(0.001)
time.sleep(0.02)
child = os.fork()
if not child:
    import boto3
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)


@pytest.mark.slow
def test_a_fork_while_credentials_are_asked_for() -> None:
    """It does not wait for the network."""
    script = """
import os, time, boto3, zespan_serverless
zespan_serverless.init(api_key_secret="ssm:/k", base_url="http://127.0.0.1:9")
zespan_serverless.capture({})
time.sleep(0.5)
begun = time.monotonic()
if not os.fork():
    os._exit(0)
os._exit(time.monotonic() - begun > 0.5)
"""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{silent.getsockname()[1]}/"}
        env |= {"AWS_REGION": "eu-west-1", "HOME": "/nowhere"}
        subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=env, check=True, timeout=20)


NO_THREADS_AT_THE_END = """
import threading
start = threading.Thread.start

def start_before_the_end(thread):
    if not threading.main_thread().is_alive():
        raise RuntimeError("can't create new thread at interpreter shutdown")
    start(thread)

threading.Thread.start = start_before_the_end
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", NO_THREADS_AT_THE_END], ids=["", "3.12.1"])
def test_a_script_that_ends_before_the_key_is_read(aws: Callable[[str], Any], first: str) -> None:
    """Its events arrive: boto3 can still be imported when the interpreter is on its way out, and used without a thread
    of its own, which some versions of Python start no more by then."""
    put(aws, "/zespan/api-key", "zsp_1")
    script = f"""{first}
import sys, zespan_serverless as z
z.init(api_key_secret="ssm:/zespan/api-key", base_url=sys.argv[1], flush_timeout=45)
z.capture({{}})
"""
    with Backend() as backend:
        backend.api_key = "zsp_1"
        subprocess.run([sys.executable, "-c", script, backend.url], check=True, timeout=60)
        assert len(backend.events) == 1


@pytest.mark.slow
@pytest.mark.parametrize("text", ['{"api_key": null}', '{"api_key": {"a": "b"}}', '{"other": "zsp"}'])
def test_a_field_that_is_no_text(aws: Callable[[str], Any], text: str) -> None:
    """It is not sent as if it were a key: events wait until there is one."""
    arn = aws("secretsmanager").create_secret(Name=f"zespan/{len(text)}", SecretString=text)["ARN"]
    with pytest.raises(Unavailable, match="api_key"):
        Secret(arn).get(5)


def test_a_binary_secret(aws: Callable[[str], Any]) -> None:
    """Its bytes are the key."""
    assert read_aws(aws("secretsmanager").create_secret(Name="bin", SecretBinary=b"zsp_1\n")["ARN"]) == "zsp_1"


def test_a_parameter_of_another_account(aws: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for by its whole ARN, which is how AWS finds shared ones."""
    arn, asked = "arn:aws:ssm:eu-west-1:999999999999:parameter/shared/key", list[str]()

    def call(client: object, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        asked.append(parameters["Name"])
        return {"Parameter": {"Value": "zsp"}}

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    assert read_aws(arn) == "zsp"
    assert asked == [arn]


@pytest.mark.slow
def test_a_log_of_everything(aws: Callable[[str], Any], caplog: pytest.LogCaptureFixture) -> None:
    """Who has AWS's packages log all they do does not find the key in it; what he reads himself is there as ever."""
    put(aws, "/zespan/api-key", "zsp_secret")
    put(aws, "/mine", "my_own")
    caplog.set_level(logging.DEBUG)
    assert Secret("ssm:/zespan/api-key").get(10) == "zsp_secret"
    aws("ssm").get_parameter(Name="/mine", WithDecryption=True)
    assert "my_own" in caplog.text
    assert "zsp_secret" not in caplog.text


def test_nothing_is_imported_beside_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is read ahead if boto3 is there; else when it is needed, which is after the function's own imports."""
    secret = Secret("ssm:/k", reader := Reader())
    monkeypatch.delitem(sys.modules, "boto3")
    secret.begin()
    assert reader.asked == 0
    assert secret.get(5) == "zsp_1"
    monkeypatch.undo()
    secret.forget()
    secret.begin()
    until(lambda: reader.asked == 2)
