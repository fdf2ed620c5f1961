"""Scale-down: Lambda sends SIGTERM, waits some 300 ms, and kills. What is buffered is sent in that time."""

from __future__ import annotations

import time

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests.aws_lambda.support import StartFunction, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

KILLED = "Sending SIGKILL to runtime"
IMPATIENT = {"ZESPAN_FLUSH_TIMEOUT": "0.1"}
BLOCKING, THREAD = "AWS_Lambda_python3.11", "AWS_Lambda_python3.12"

polling = pytest.mark.parametrize("polling", [BLOCKING, THREAD])
"""How the runtime client waits for its next event: in the main thread, blocked in C, or in another one."""


def arrived(backend: Backend) -> tuple[int, int]:
    """Return how many model calls and root events the backend has, counting once what a hung request brought before."""
    events = list({event["event_id"]: event for event in backend.events}.values())
    return len(calls(events)), len(roots(events))


def leave_unsent(sandbox: Sandbox, backend: Backend, event: object = None) -> None:
    """Have an invocation whose two events cannot be sent."""
    backend.mode = "hang"
    assert sandbox.invoke(event).status == 200
    backend.mode = "ok"
    assert backend.events == []


@polling
@pytest.mark.parametrize("flush_mode", ["auto", "before_return"])
def test_event_captured_in_an_idle_sandbox_is_sent_at_the_end(
    start: StartFunction, backend: Backend, polling: str, flush_mode: str
) -> None:
    """What a thread captures in an idle sandbox is sent at the end, which comes at once; with before_return as well."""
    sandbox = start("terminated.handler", execution_env=polling, env={"ZESPAN_FLUSH_MODE": flush_mode})
    sandbox.invoke({"late": 0.1})
    time.sleep(0.3)
    assert arrived(backend) == (1, 1)
    assert KILLED not in sandbox.stop()
    assert arrived(backend) == (2, 1)


@polling
def test_pending_events_are_sent_at_the_end_if_the_backend_is_back(
    start: StartFunction, backend: Backend, polling: str
) -> None:
    """Events that an unavailable backend has delayed are sent at the end, if it is available by then."""
    sandbox = start("terminated.handler", execution_env=polling)
    backend.mode = "refuse"
    sandbox.invoke()
    sandbox.freeze()
    backend.mode = "ok"
    assert KILLED not in sandbox.stop()
    assert arrived(backend) == (1, 1)


@polling
def test_hanging_backend_does_not_delay_the_end(start: StartFunction, backend: Backend, polling: str) -> None:
    """A backend that hangs does not keep the process from going by itself, in the time that Lambda gives."""
    sandbox = start("terminated.handler", execution_env=polling, env=IMPATIENT)
    backend.mode = "hang"
    sandbox.invoke()
    assert KILLED not in sandbox.stop()


@polling
def test_interrupted_handler_loses_no_captured_event(start: StartFunction, backend: Backend, polling: str) -> None:
    """A handler that is cut short loses nothing that it has captured."""
    sandbox = start("terminated.handler", execution_env=polling)
    sandbox.invoke()
    sandbox.invoke({"sleep": 30}, client_timeout=0.3)
    assert KILLED not in sandbox.stop()
    assert arrived(backend) == (2, 1)


@polling
@pytest.mark.parametrize("how", ["return", "sys.exit", "os._exit"])
@pytest.mark.parametrize("when", ["import", "call"])
def test_the_users_handler_runs_in_an_idle_sandbox(
    start: StartFunction, backend: Backend, polling: str, how: str, when: str
) -> None:
    """The user's handler, set before ours or after, runs where it would have run, and does what it would have done."""
    env = {**IMPATIENT, "USER_HANDLER": how, "SET_AT": when}
    sandbox = start("terminated.handler", execution_env=polling, env=env)
    leave_unsent(sandbox, backend)
    log = sandbox.stop()
    assert arrived(backend) == (1, 1)
    runs = polling == THREAD
    assert log.count("USER HANDLER") == runs
    if how != "sys.exit":  # in which the runtime client's own threads have a say, differently in each Python
        assert (KILLED in log) is (not runs or how == "return")


@polling
@pytest.mark.parametrize("how", ["sys.exit", "os._exit"])
def test_the_users_handler_runs_during_an_invocation(
    start: StartFunction, backend: Backend, polling: str, how: str
) -> None:
    """During an invocation Python runs, and so does the user's handler, however the runtime client waits."""
    sandbox = start("terminated.handler", execution_env=polling, env={"USER_HANDLER": how, "SET_AT": "import"})
    sandbox.invoke()
    sandbox.invoke({"sleep": 30}, client_timeout=0.3)
    log = sandbox.stop()
    assert arrived(backend) == (2, 1 + (how == "sys.exit"))  # which the handler sees as an exception
    assert log.count("USER HANDLER") == 1
    assert KILLED not in log


@polling
@pytest.mark.parametrize("remove", [True, False])
def test_sigterm_is_handled_after_asyncio_has_removed_its_handlers(
    start: StartFunction, backend: Backend, polling: str, remove: bool
) -> None:
    """Signal handlers of an event loop take ours away and leave none behind; at the end ours are there again."""
    sandbox = start("terminated.with_signals", execution_env=polling, env=IMPATIENT)
    leave_unsent(sandbox, backend, {"remove": remove})
    log = sandbox.stop()
    assert arrived(backend) == (1, 1)
    assert (KILLED in log) is not remove  # the loop's handler, which ends nothing, is the user's


@polling
@pytest.mark.parametrize("fork", ["os", "multiprocessing"])
def test_sigterm_is_handled_after_forks(start: StartFunction, backend: Backend, polling: str, fork: str) -> None:
    """Children that have come and gone leave the parent's watch as it was."""
    sandbox = start("terminated.handler", execution_env=polling, env=IMPATIENT)
    leave_unsent(sandbox, backend, {"fork": fork})
    assert KILLED not in sandbox.stop()
    assert arrived(backend) == (1, 1)
