"""`zespan-serverless run` with real programs, and what it says of them at the end."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from zespan_serverless_dev import address
from zespan_serverless_dev.probe import Facts
from zespan_serverless_dev.run.command import environment
from zespan_serverless_dev.server import DevServer

from tests.support import ROOT, until
from zespan_serverless.cli import main

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from zespan_serverless import span, zespan_lambda
from zespan_serverless.testing import LambdaContext

@zespan_lambda(service_name="chat")
def handler(event, context):
    with span("answer", kind="agent"):
        return event

handler({}, LambdaContext())
print("its own output")
sys.exit(3)
"""
ASKS = """
import openai
from zespan_serverless import run

with run("ask"), openai.OpenAI() as client:
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    print(answer.choices[0].message.content)
"""
LOST = """
import os
from zespan_serverless import capture, init

init(flush_interval=100)
capture({"operation": "report"})
os._exit(4)
"""
ELSEWHERE = """
from zespan_serverless import capture, init, shutdown

init(exporter="memory")
capture({"operation": "report"})
shutdown()
"""
SERVES = """
import signal, sys, time
got = []
for name in ("SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), lambda number, _: got.append(signal.Signals(number).name))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.3)  # a second one would come now
print("got", *got)
sys.exit(7)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no `dev` runs, and where programs see no settings of this machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in [name for name in os.environ if name.startswith("ZESPAN_")]:
        monkeypatch.delenv(name)
    return tmp_path


def command(*options: str, program: str, python: str = sys.executable) -> list[str]:
    return [sys.executable, "-m", "zespan_serverless", "run", *options, "--", python, "-c", program]


def ran(*options: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options, program=program), capture_output=True, text=True, timeout=60, check=False)


def test_the_program_is_run_as_it_is_and_its_traces_follow() -> None:
    """Its output and its exit code are its own; the trace and the sums go to standard error."""
    done = ran("--alone")
    assert (done.stdout, done.returncode) == ("its own output\n", 3)
    *_, root, step, sums = done.stderr.splitlines()
    assert " chat " in root
    assert step.startswith("└─ answer agent")
    assert sums == "2 events: 2 delivered, 0 waiting, 0 dropped, 0 lost"


def test_a_model_that_needs_no_key_answers() -> None:
    """With --model the program's calls of OpenAI go to a stand-in on this machine."""
    done = ran("--alone", "--model", program=ASKS)
    assert done.stdout == "Hello, serverless world!\n"
    assert "gpt-4o chat" in done.stderr
    assert "2 events: 2 delivered" in done.stderr


def test_an_event_that_was_lost_is_named() -> None:
    """The probe reports what was captured, and it has not arrived anywhere."""
    done = ran("--alone", program=LOST)
    assert done.returncode == 4
    assert "1 event: 0 delivered, 0 waiting, 0 dropped, 1 lost\n" in done.stderr
    assert "Lost, because the process ended before they were sent: report." in done.stderr


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (ELSEWHERE, "None of them came here: they stayed in the fixtures of tests, or code sets `base_url`"),
        ("print(1)", "It has not imported zespan_serverless"),
        ("import zespan_serverless._version", "nothing that is decorated was called"),
        ("from zespan_serverless import init; init()", "Telemetry was on, but nothing was captured."),
    ],
)
def test_it_says_why_nothing_came(program: str, told: str) -> None:
    """What the program did decides."""
    assert told in ran("--alone", program=program).stderr


def test_a_program_that_the_probe_cannot_enter_is_seen_by_what_arrives(folder: Path) -> None:
    """-S leaves out `sitecustomize`; environments of other tools may, too."""
    script = folder / "app.py"
    script.write_text(PROGRAM)
    run = [sys.executable, "-m", "zespan_serverless", "run", "--alone", sys.executable, "-S", str(script)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "└─ answer agent" in done.stderr
    assert "2 events: 2 delivered" in done.stderr


@pytest.mark.parametrize("form", ["json", "md"])
def test_other_formats_and_a_file(form: str, folder: Path) -> None:
    """For programs and for people who paste."""
    done = ran("--alone", "--format", form, "--output", "account", "--last", "1")
    text = (folder / "account").read_text()
    assert done.stderr == ""
    if form == "json":
        account = json.loads(text)
        assert (account["exit_code"], account["command"][1:]) == (3, ["-c", PROGRAM])
        assert account["ledger"] == {"captured": 2, "delivered": 2, "waiting": 0, "dropped": {}, "lost": 0}
        assert {span["name"] for span in account["spans"]} == {"chat", "answer"}
    else:
        assert "2 events: 2 delivered" in text
        assert "\n  - `answer` `agent`, " in text


def test_a_dev_of_this_folder_gets_everything(folder: Path) -> None:
    """The telemetry, and what the probe says: so its ledger is exact, too."""
    with DevServer(folder / ".zespan") as dev:
        done = ran()
        assert done.returncode == 3
        assert f"The page of `dev` at {dev.url} shows them." in done.stderr
        assert "1 lost" in ran(program=LOST).stderr
        ledger = dev.get("summary")["ledger"]
        sandboxes = sorted(dev.get("sandboxes")["sandboxes"], key=lambda one: one["first"])
        lanes = [dev.get(f"lane?sandbox={one['id']}")["invocations"] for one in sandboxes]
    assert (ledger["captured"], ledger["delivered"], ledger["lost"]) == (3, 2, 1)
    assert [(one["host"], one["state"], one["told"]) for one in sandboxes] == [("process", "ended", True)] * 2
    assert sandboxes[1]["function"] is None  # what it has sent would tell: its command is its name
    assert sandboxes[1]["handler"].startswith(sys.executable[:20])
    assert [[(one["outcome"], len(one["calls"])) for one in lane] for lane in lanes] == [[("ok", 1)], [("ok", 0)]]


def test_what_goes_elsewhere_is_not_lost_for_dev(folder: Path) -> None:
    """Code may send to another place, such as the terminal: `dev` is told that the events are there."""
    with DevServer(folder / ".zespan") as dev:
        assert ran(program=ELSEWHERE).returncode == 0
        ledger = dev.get("summary")["ledger"]
    assert ledger == {"captured": 1, "delivered": 1, "waiting": 0, "dropped": {}, "lost": 0}


def test_traces_of_other_programs_are_not_shown(folder: Path) -> None:
    """`dev` may have many."""
    with DevServer(folder / ".zespan"):
        ran()
        assert ran(program=PROGRAM.replace("chat", "other")).stderr.count("answer") == 2  # in the command, and below


def test_a_dev_that_ends_meanwhile(folder: Path) -> None:
    """What has become of the events is told all the same, and why there are no traces."""
    with DevServer(folder / ".zespan") as dev:
        lost = (
            f"import os, time\nwhile os.path.exists({str(folder / '.zespan/running.json')!r}): time.sleep(0.01)\n{LOST}"
        )
        run = command("--dev", dev.page_url, program=f"print('ready', flush=True)\n{lost}")
        with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            dev.close()
            _, said = running.communicate(timeout=60)
    assert running.returncode == 4
    assert "1 event: 0 delivered, 0 waiting, 0 dropped, 1 lost\n" in said
    assert f"No traces: `dev` at {dev.url} has ended" in said


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes standard error")
@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_nothing_can_be_written(redirected: str) -> None:
    """Where standard error is closed, or its disk is full, the exit code is the program's all the same."""
    run = command("--alone", program="raise SystemExit(5)")
    assert subprocess.run(["/bin/sh", "-c", f'"$@" {redirected}', "sh", *run], timeout=60, check=False).returncode == 5


def test_arguments_are_not_kept(folder: Path) -> None:
    """Arguments of a program may be keys: they are in no run, which is a file that people pass on."""
    with DevServer(folder / ".zespan") as dev:
        run = [sys.executable, "-m", "zespan_serverless", "run", "--", sys.executable, "-c", PROGRAM, "--key=sk-1234"]
        assert subprocess.run(run, capture_output=True, timeout=60, check=False).returncode == 3
        with address.Address(dev.url, dev.token).open("export") as answer:
            kept = gzip.decompress(answer.read()).decode()
    assert "sk-1234" not in kept
    assert sys.executable in kept


def test_files_of_the_shell_are_inherited() -> None:
    """A program gets open files beyond standard error, as it does from a shell: make and systemd pass them."""
    reading, writing = os.pipe()
    program = f"import os; os.write({writing}, b'written')"
    subprocess.run(command("--alone", program=program), pass_fds=[writing], capture_output=True, timeout=60, check=True)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"written"


def test_a_program_that_still_writes_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that outlives the program may add to the folder while it is removed: the exit code is the program's."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(os, "rmdir", refuse)
    assert main(["run", "--alone", "--", sys.executable, "-c", "raise SystemExit(5)"]) == 5


def test_a_signal_is_the_programs() -> None:
    """It is passed on once, and the program decides how it ends."""
    with subprocess.Popen(
        command("--alone", program=SERVES), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGTERM)
        assert run.stdout.readline() == "got SIGTERM\n"
        assert run.wait(60) == 7


def test_ctrl_c_reaches_the_program_once() -> None:
    """The terminal has sent it to both."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command("--alone", program=SERVES))
    shown = b""
    try:
        while b"got" not in shown:
            shown += os.read(terminal, 1024)
            if b"ready" in shown and b"^C" not in shown:
                os.write(terminal, b"\x03")
                shown += b"^C"
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:  # Linux's end of file
        pass
    finally:
        os.close(terminal)
    assert b"got SIGINT\r\n" in shown
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_program_that_a_signal_ends_has_the_exit_code_of_shells() -> None:
    """128 and the number."""
    assert ran("--alone", program="import os; os.kill(os.getpid(), 9)").returncode == 137


def test_a_command_that_cannot_run_is_explained(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the exit codes of shells."""
    (folder / "data").write_text("")
    assert main(["run", "--alone", "--", "./nothing"]) == 127
    assert "there is no command './nothing'" in capfd.readouterr().err
    assert main(["run", "--alone", "./data"]) == 126
    assert "'./data' cannot be run: Permission denied" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "say what to run, such as: zespan-serverless run -- python app.py"),
        (["--last", "-2", "--", "true"], "--last must be 0 or more, not -2"),
        (["--dev", "http://127.0.0.1:9", "--", "true"], "start zespan-serverless dev, or leave out --dev"),
    ],
)
def test_mistakes_are_explained(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to type instead."""
    with pytest.raises(SystemExit):
        main(["run", *options])
    assert told in capsys.readouterr().err


def test_the_dev_on_the_default_port_is_used(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without its token its page has the traces, and the sums are here all the same."""
    with DevServer() as dev:
        monkeypatch.setattr(address, "PORT", dev.port)
        assert main(["run", "--", sys.executable, "-c", PROGRAM]) == 3
        assert dev.get("summary")["ledger"]["delivered"] == 2
    said = capfd.readouterr().err
    assert "2 events: 2 delivered" in said
    assert f"The page of `dev` at {dev.url} shows them." in said


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ({}, None),
        ({"http_proxy": "http://proxy:1"}, "127.0.0.1"),
        ({"ALL_PROXY": "http://proxy:1", "NO_PROXY": "a.example"}, "a.example,127.0.0.1"),
        ({"HTTP_PROXY": "http://proxy:1", "no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_gets_the_telemetry(proxies: dict[str, str], expected: str | None, folder: Path) -> None:
    """It stays on this machine; without proxies nothing of that is set."""
    made = environment({"PATH": "/bin", **proxies}, "http://127.0.0.1:1", Facts(folder / "facts"))
    assert (made.get("NO_PROXY"), made.get("no_proxy")) == (expected, expected)
    assert made["PATH"] == "/bin"


def test_pytest_sends_its_telemetry_too(folder: Path) -> None:
    """It is off in tests unless it goes to this machine."""
    (folder / "test_app.py").write_text(f"def test():\n    exec({PROGRAM.replace('sys.exit(3)', '')!r}, {{}})\n")
    run = [sys.executable, "-m", "zespan_serverless", "run", "--alone", "--", sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    assert "└─ answer agent" in done.stderr


WEB = """
from fastapi import FastAPI
from zespan_serverless.asgi import ZespanMiddleware

app = FastAPI()
app.add_middleware(ZespanMiddleware)

@app.get("/hello")
async def hello():
    return {}
"""


@pytest.mark.host(seconds=5)
def test_a_development_server_with_its_reloader(folder: Path) -> None:
    """The process that serves is a child's child; Ctrl-C ends all of them, and then come the traces."""
    (folder / "app.py").write_text(WEB)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--reload"]
    run = [sys.executable, "-m", "zespan_serverless", "run", "--alone", "--", *serve]
    account = folder / "account"
    with account.open("w") as stderr, subprocess.Popen(run, stderr=stderr, start_new_session=True) as running:
        try:
            until(lambda: _answers(f"http://127.0.0.1:{port}/hello"), 60)
            until(lambda: _interrupted(running), 40)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    said = account.read_text()
    assert re.search(r"^[\d:.]+ GET /hello .* 200 · cold start", said, re.MULTILINE)
    assert re.search(r"(\d+) events?: \1 delivered, 0 waiting, 0 dropped, 0 lost", said)


def _interrupted(running: subprocess.Popen[bytes]) -> bool:
    """Press Ctrl-C, and look whether it ends: a reloader that is busy may take no notice of the first one."""
    running.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        running.wait(10)
    return running.poll() is not None


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except OSError:
        return False
    return True
