"""Runs the calls of one plan in one sandbox: events, faults, signals and freezes."""

from __future__ import annotations

import queue
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..emulator.lambda_docker import HOST, DockerSandbox
from ..emulator.lambda_rie import Sandbox
from ..emulator.model import MODEL_VARIABLES, ModelEndpoint
from ..probe import Fact, Facts
from .call import Call
from .collectors import Arrival, BuiltIn, Collector, Dev
from .cpu import CpuLimit
from .journals import Left, left_in
from .ledger import Ledger
from .lifecycle import Lifecycle
from .plan import Plan, Signal, shell

LOOK = 0.02  # seconds between two checks for facts
WRAPPER = "/opt/zespan/wrapper"  # the layer's


@dataclass
class Result:
    """The result of a run."""

    plan: Plan
    ledger: Ledger
    calls: list[Call] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    end: Literal["scale_down", "kill"] = "scale_down"
    left: Left = Left([], 0)  # noqa: RUF009 (it cannot be changed)
    log: str = ""
    loaded: bool = False  # whether the function has imported the package
    broken: list[str] = field(default_factory=list)  # what the probe has not found
    after: list[Fact] = field(default_factory=list)  # what has happened after the last call
    signals: list[tuple[str, float]] = field(default_factory=list)  # and when they were sent
    notes: list[str] = field(default_factory=list)
    page: str = ""  # the URL of the `dev` that shows it


class Session:
    """One run. `on_call` is called with each finished call, and `on_progress` with the current step."""

    def __init__(
        self, plan: Plan, on_call: Callable[[Call, Result], object], on_progress: Callable[[str], object]
    ) -> None:
        self.plan, self._on_call, self._on_progress = plan, on_call, on_progress
        self.result = Result(plan, Ledger(), notes=[*plan.notes])
        self._facts: list[Fact] = []
        self._told = 0  # how many of them belong to calls
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._timers: list[threading.Timer] = []
        self._again: queue.SimpleQueue[bool] = queue.SimpleQueue()  # whether to call once more, or to end
        self._is_frozen = False
        self._lifecycle: Lifecycle | None = None
        self._awaited = [("kill", plan.kill), ("sigterm", plan.sigterm)]

    def run(self) -> Result:
        """Run all calls, end the sandbox, and account for the events."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="invoke-")))
            collector: Collector = BuiltIn() if self.plan.dev is None else Dev(self.plan.dev)
            stack.callback(collector.close)
            collector.fail(self.plan.fault)
            model = stack.enter_context(ModelEndpoint()) if self.plan.model else None
            self._probe = Facts(folder / "facts")
            here = HOST if self.plan.docker else "127.0.0.1"
            urls = [one.url.replace("127.0.0.1", here) if one is not None else None for one in (collector, model)]
            env = environment(self.plan, urls[0] or "", urls[1])
            handler = self.plan.handler
            if env.get("AWS_LAMBDA_EXEC_WRAPPER") == WRAPPER:  # what the layer's wrapper does
                env["ZESPAN_LAMBDA_HANDLER"], handler = handler, "zespan_serverless.aws_lambda.auto.handler"
            self._sandbox = stack.enter_context(self._started(handler, env, folder / "tmp", stack))
            self._run(collector)
            self._account(collector, [folder / "tmp", *journal_folders(env)])
        return self.result

    def _started(self, handler: str, env: dict[str, str], tmp: Path, stack: ExitStack) -> Sandbox:
        """Return the sandbox, with its share of a CPU."""
        plan = self.plan
        kind: type[Sandbox] = DockerSandbox if plan.docker else Sandbox
        self._limit = None if plan.docker else CpuLimit(plan.memory)
        if self._limit is not None:
            stack.callback(self._limit.close)
            if self._limit.join is None:
                self.result.notes.append(f"its CPU is not limited as on Lambda: {self._limit.trouble}")
        return kind(
            handler,
            plan.code,
            env=env,
            timeout=plan.timeout,
            memory=plan.memory,
            tmp_dir=tmp,
            probe=self._probe,
            layers=plan.layers,
            join=self._limit.join if self._limit is not None else None,
        )

    def _run(self, collector: Collector) -> None:
        if isinstance(collector, Dev):
            self.result.page = collector.url
            self._lifecycle = Lifecycle(collector.address, self.plan, self.obey)
        reader = threading.Thread(target=self._read_facts, daemon=True)
        reader.start()
        try:
            for number in range(1, self.plan.calls + 1):
                self._call(number, collector, pause=self.plan.idle if number < self.plan.calls else LOOK)
            if self.plan.stays:
                self._stay(collector)
        finally:
            for timer in self._timers:
                timer.cancel()
            self._end()
            self._over.set()
            reader.join()

    def _call(self, number: int, collector: Collector, pause: float) -> None:
        """Run one call, and the freeze after it."""
        self._on_progress(f"call {number}")
        signals = len(self.result.signals)  # from now on the page shows the call, and may kill it
        if self._lifecycle is not None:
            self._lifecycle.sent(self.plan.event)
        self._thaw()
        invoke = self._sandbox.invoke(raw=self.plan.next_event())
        memory = _peak_mb(self._sandbox.runtime_pid)
        self._freeze()
        self._pump()
        call = Call(number, self.plan.event, invoke, self._facts[self._told :], max_memory_mb=memory)
        self._told = len(self._facts)
        call.killed = len(self.result.signals) > signals
        self.result.calls.append(call)
        self.result.arrivals = collector.arrivals()
        if self._lifecycle is not None:
            self._lifecycle.done(call)
        self._on_progress("")
        self._on_call(call, self.result)
        time.sleep(pause)

    def _stay(self, collector: Collector) -> None:
        """Keep the sandbox, and call again when the page requests it, until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            while True:
                self._on_progress("the sandbox stays; Ctrl-C ends it")
                if not self._again.get():
                    return
                self._call(len(self.result.calls) + 1, collector, pause=LOOK)

    def obey(self, command: str) -> None:
        """Execute a control of the page at once, in any thread."""
        if command in ("freeze", "timeout"):  # a current call that stands still runs into its timeout
            self._freeze()
        elif command == "thaw":
            self._thaw()
        elif command in ("kill", "sigterm"):
            self._send(command)
        elif command == "again":
            self._again.put(True)

    def end(self) -> None:
        """End a sandbox that stays."""
        self._again.put(False)

    # Signals

    def _freeze(self) -> None:
        self._sandbox.freeze()
        self._is_frozen = True
        self._tell("freeze")

    def _thaw(self) -> None:
        self._sandbox.thaw()
        if self._is_frozen:
            self._is_frozen = False
            self._tell("thaw")

    def _send(self, name: str) -> None:
        """Send SIGKILL or SIGTERM to the function's process, now."""
        self.result.signals.append((name, time.time() * 1000))
        if name == "kill":
            self._sandbox.send_signal(signal.SIGKILL)
        else:
            self._thaw()
            self._tell("sigterm")
            self._sandbox.send_signal(signal.SIGTERM)

    def _end(self) -> None:
        """End the sandbox as Lambda scales down, or without a warning."""
        at_end = Signal(None)
        if self.plan.kill == at_end:
            self.result.end = "kill"
            self._send("kill")
        else:
            self._thaw()
            self._tell("sigterm")
        self._on_progress("the sandbox ends")
        self.result.log = self._sandbox.stop()
        self._on_progress("")

    def _tell(self, kind: str, **fields: Any) -> None:
        if self._lifecycle is not None:
            self._lifecycle.tell(kind, **fields)

    # Facts

    def _read_facts(self) -> None:
        """Collect facts, and start the clocks of signals when the first call has reached the function."""
        while not self._over.wait(LOOK):
            self._pump()
        self._pump()

    def _pump(self) -> None:
        """Take the facts that have come since the last time."""
        with self._lock:
            for fact in self._probe.read():
                self._take(fact)

    def _take(self, fact: Fact) -> None:
        self._facts.append(fact)
        if self._lifecycle is not None:
            self._lifecycle.fact(fact)
        if fact["type"] == "loaded":
            self.result.loaded = True
        elif fact["type"] == "broken":
            self.result.broken.append(fact["what"])
        elif fact["type"] == "asked":
            if self._limit is not None:
                self._limit.enforce()  # Lambda gives an init more
        elif fact["type"] == "request":
            for name, wanted in self._awaited:
                if wanted is not None and wanted.after is not None:
                    timer = threading.Timer(wanted.after, self._send, [name])
                    timer.daemon = True
                    timer.start()
                    self._timers.append(timer)
            self._awaited = []

    def _account(self, collector: Collector, folders: Sequence[Path]) -> None:
        """Put each event into its state, when nothing can change it any more."""
        result = self.result
        result.arrivals = collector.arrivals()
        result.after = self._facts[self._told :]
        for fact in self._facts:
            result.ledger.note(fact, self._call_at(fact["at"]))
        for arrival in result.arrivals:
            if arrival.status is not None and 200 <= arrival.status < 300:
                for event_id in arrival.ids:
                    result.ledger.arrived(event_id, self._call_at(arrival.at))
        result.left = left_in(folders)
        result.ledger.left(result.left.events, len(result.calls))
        if self._lifecycle is not None:
            self._lifecycle.tell("delivered", event_ids=result.ledger.settled(result.ledger.entries))
            self._lifecycle.close(result.end, result.left.events)

    def _call_at(self, at: float) -> int:
        """Return the number of the call that was the last one at this time."""
        return sum(call.sent <= at for call in self.result.calls) or 1


def environment(plan: Plan, url: str, model_url: str | None) -> dict[str, str]:
    """Return the function's variables: this shell's, the template's, those that lead its telemetry here, and --env."""
    env = {**shell(), **plan.env}
    env.update(ZESPAN_ENABLED="1", ZESPAN_EXPORTER="zespan", ZESPAN_BASE_URL=url, ZESPAN_API_KEY="zsp_local")
    env.setdefault("AWS_LAMBDA_FUNCTION_NAME", plan.name)
    if model_url is not None:
        env.update(zip(MODEL_VARIABLES, (model_url, "none"), strict=True))
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    return {**env, **plan.given}


def journal_folders(env: dict[str, str]) -> list[Path]:
    """Return where the journal is, if a variable puts it elsewhere than into the sandbox's own folder."""
    folder = Path(env.get("ZESPAN_JOURNAL", ""))
    return [folder] if folder.is_absolute() else []


def _peak_mb(pid: int | None) -> int | None:
    """Return the most memory that the process has used."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) // 1024
    return None
