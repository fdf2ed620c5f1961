"""python -m tools.profile: what a warm invocation on Lambda costs, by thread and by function.

The function makes one model call, and runs on AWS's emulator and runtime client, so that the extension and the sender
work as on Lambda. What it costs without telemetry is subtracted. Calls, instructions of bytecode and system calls are
counted in runs of their own, and do not depend on the machine. CPU and waits (voluntary switches of the thread) do.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zespan_serverless_dev
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from .bench.instance import FUNCTIONS, environment
from .bench.standins import StandIns
from .bench.subjects import BARE, SUBJECTS

ROOT = Path(__file__).parents[1]
WARM = 6  # invocations
MAIN = "MainThread"
KINDS = ("python", "c", "instructions")
_CALL = re.compile(r"^(\d+) +([a-z_0-9]+)\(")

Notes = list[dict[str, Any]]
Count = dict[tuple[str, str, str], float]
"""By thread, kind and function or system call."""


class Profile:
    """Runs the functions of the comparison."""

    def __init__(self, standins: StandIns, folder: Path, invocations: int = 30) -> None:
        self._standins, self._folder, self._invocations = standins, folder, invocations

    def notes(self, subject: str, what: str) -> Notes:
        """Return what `bench_profile` notes of warm invocations."""
        with self._sandbox(subject, what) as sandbox:
            self._invoke(sandbox, WARM + self._invocations + 1)
        return self._read(subject, what)[WARM:]

    def counted(self, subject: str, what: str) -> Count:
        """Return what is counted in one invocation: the median."""
        if what == "system":
            return self._system_calls(subject)
        each = [{(*where,): number for *where, number in one["counted"]} for one in self.notes(subject, what)]
        keys: set[Any] = set().union(*each)
        return {key: statistics.median(one.get(key, 0) for one in each) for key in keys}

    def _system_calls(self, subject: str) -> Count:
        seen = self._folder / "strace"
        with self._sandbox(subject, "") as sandbox:
            self._invoke(sandbox, WARM)
            command = ["strace", "-f", "-qq", "-o", str(seen), "-p", str(sandbox.runtime_pid)]
            tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(1)  # it does not say when it has attached to all threads
            self._invoke(sandbox, self._invocations)
            tracer.terminate()
            tracer.wait()
        names = {str(number): name for name, number in self._read(subject, "")[-1]["ids"].items()}
        calls = (match for line in seen.read_text().splitlines() if (match := _CALL.match(line)))
        found = Counter((names.get(call[1], "another"), "system", call[2]) for call in calls)
        return {key: number / self._invocations for key, number in found.items()}

    def _sandbox(self, subject: str, what: str) -> Sandbox:
        notes = self._path(subject, what)
        notes.unlink(missing_ok=True)
        own = {"BENCH_PROFILE": what, "BENCH_PROFILED": SUBJECTS[subject].module, "BENCH_NOTES": str(notes)}
        env = environment(SUBJECTS[subject], self._standins, self._standins.backend()) | own
        layers = [ROOT, Path(zespan_serverless_dev.__file__).parents[1]]
        return Sandbox("bench_profile.handler", FUNCTIONS, env=env, layers=layers)

    def _path(self, subject: str, what: str) -> Path:
        return self._folder / f"{subject}-{what}"

    def _read(self, subject: str, what: str) -> Notes:
        return [json.loads(line) for line in self._path(subject, what).read_text().splitlines()]

    def _invoke(self, sandbox: Sandbox, times: int) -> None:
        for number in range(times):
            invoke = sandbox.invoke({"call": f"{number:08x}"})
            if not isinstance(invoke.payload, dict) or "ok" not in invoke.payload:
                raise RuntimeError(invoke.log)


def added(profile: Profile, subject: str, what: str) -> Count:
    """Return what a subject counts in addition to the function without telemetry."""
    found, beside = profile.counted(subject, what), profile.counted(BARE, what)
    return {key: found.get(key, 0) - beside.get(key, 0) for key in found.keys() | beside.keys()}


def cost(profile: Profile, subject: str) -> Iterator[str]:
    """Yield the lines about waits and CPU."""
    traced, bare = profile.notes(subject, "cost"), profile.notes(BARE, "cost")
    for name in ("response", *traced[-1]["threads"]):
        waits, cpu = _typical(traced, name)
        waits_bare, cpu_bare = _typical(bare, name)
        yield f"{name:18} {cpu - cpu_bare:6.2f} ms of CPU, {waits - waits_bare:4.1f} waits"


def _typical(notes: Notes, name: str) -> tuple[float, float]:
    """Return the mean of the waits, and the median of the CPU, of a thread or of the `response`."""
    costs = [{**note["threads"], "response": note["response"]}.get(name, (0, 0)) for note in notes]
    return statistics.mean(waits for waits, _ in costs), statistics.median(cpu for _, cpu in costs)


def table(counted: Count, shown: int) -> Iterator[str]:
    """Yield the sums of each thread, and the functions that it counts most in."""
    for thread in sorted({thread for thread, _, _ in counted}, key=lambda name: name != MAIN):
        its = {(kind, name): number for (of, kind, name), number in counted.items() if of == thread}
        kinds = [kind for kind in (*KINDS, "system") if any(kind == of for of, _ in its)]
        sums = {kind: sum(number for (of, _), number in its.items() if of == kind) for kind in kinds}
        yield f"{thread}: " + ", ".join(f"{number:.0f} {kind}" for kind, number in sums.items())
        names: Counter[str] = Counter()
        for (_, name), number in its.items():
            names[name] += round(10 * number)
        for name, number in names.most_common(shown):
            if number:
                yield "".join(f"{its.get((kind, name), 0):8.1f}" for kind in kinds) + f" {name}"


def main() -> None:
    """Print the profile."""
    parser = argparse.ArgumentParser(prog="python -m tools.profile", description=__doc__)
    parts = ("cost", "calls", "instructions", "system")
    parser.add_argument("parts", nargs="*", default=parts, help=f"of {', '.join(parts)}; system needs strace")
    parser.add_argument("--subject", default="package", choices=SUBJECTS)
    parser.add_argument("--shown", type=int, default=40, help="functions of each thread")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, StandIns() as standins:
        profile = Profile(standins, Path(folder))
        for part in chosen.parts:
            print(f"\n{part}")
            if part == "cost":
                print("\n".join(cost(profile, chosen.subject)))
            else:
                print("\n".join(table(added(profile, chosen.subject, part), chosen.shown)))


if __name__ == "__main__":
    main()
