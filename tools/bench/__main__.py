"""Compares the package with other telemetry SDKs: `make bench`, or `python -m tools.bench --help`.

Each subject is the same function, traced as its vendor's guide says, on AWS's Lambda emulator and runtime client. The
model and the backend are stand-ins on this machine. In each round all subjects follow each other in a random order, and
a figure is the median of the differences to the function without telemetry in the same round.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

import trustme

from . import events, losses, memory, page, quotas, results, sizes, starts, warm, web, work
from .setting import Part, Setting
from .standins import StandIns
from .subjects import BARE, SUBJECTS

ABOUT = "Compares the package with other telemetry SDKs on AWS's Lambda emulator."
PARTS: dict[str, Part] = {
    "cold": starts.cold,
    "source": starts.source,
    "warm": warm.warm,
    "work": work.work,
    "tls": warm.tls,
    "freeze": losses.freeze,
    "kill": losses.kill,
    "outage": losses.outage,
    "refusal": losses.refusal,
    "calls": sizes.calls,
    "prompt": sizes.prompt,
    "stream": sizes.stream,
    "quotas": quotas.quotas,
    "web": web.web,
    "events": events.events,
    "memory": memory.memory,
}
LONG = ("memory",)  # takes longer than all others together, and is measured only if it is named


def main(argv: list[str] | None = None) -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=ABOUT)
    usual = ",".join(part for part in PARTS if part not in LONG)
    parser.add_argument("--only", default=usual, help=f"parts, separated by commas: %(default)s; and {LONG[0]}")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="separated by commas: %(default)s")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rounds; 0.1 for a trial")
    shown = "the results; those of any file but %(default)s are printed"
    parser.add_argument("--out", type=Path, default=results.TARGET, help=shown)
    chosen = parser.parse_args(argv)
    parts, names = chosen.only.split(","), chosen.subjects.split(",")
    for given, known in ((parts, PARTS), (names, SUBJECTS)):
        if unknown := [one for one in given if one not in known]:
            parser.error(f"{unknown[0]!r} is not one of {', '.join(known)}")
    failed = measure(parts, [BARE, *(name for name in names if name != BARE)], chosen.scale, chosen.out)
    if chosen.out == results.TARGET:
        page.main()
    else:
        print(page.render(results.read(chosen.out)))
    if failed:
        raise SystemExit(f"These parts have failed: {', '.join(failed)}")


def measure(parts: list[str], names: list[str], scale: float, out: Path) -> list[str]:
    """Measure those parts, and write the results after each. Returns those that have failed."""
    failed = []
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))  # a thousand requests at once
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = Path(folder, "authority.pem"), Path(folder, "backend.pem")
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        results.versions(names)  # installs what is missing
        with StandIns(certificate) as standins:
            setting = Setting(standins, authority, tuple(names), scale)
            for part in parts:
                started = time.monotonic()
                standins.model()
                try:
                    found = PARTS[part](setting)
                except Exception:  # the other parts may take minutes: this one can be measured again, with --only
                    traceback.print_exc()
                    failed.append(part)
                    continue
                results.write(out, {part: found}, names, scale)
                print(f"{part:10}{time.monotonic() - started:6.0f} s", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    main()
