"""What the terminal says of calls that did not go as usual."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from zespan_serverless_dev.emulator.lambda_rie import Invoke
from zespan_serverless_dev.invoke.call import Call
from zespan_serverless_dev.invoke.drawing import drawn_call, drawn_end
from zespan_serverless_dev.invoke.journals import Left
from zespan_serverless_dev.invoke.ledger import Ledger
from zespan_serverless_dev.invoke.plan import Plan, Signal, other_decorator
from zespan_serverless_dev.invoke.session import Result

INVOKE: dict[str, Any] = {
    **dict.fromkeys(("status", "payload", "response_ms", "handler_ms", "init_ms", "request_id")),
    "body": "",
    "sent": 1.0,
    "wall_ms": 5000.0,
    "init_ms": 4000.0,
    "timed_out": False,
    "reset": False,
    "log": "",
}


def result(*, reached: float | None = None, loaded: bool = True, open_spans: int = 0, **invoke: Any) -> Result:
    """A run of one cold call, whose handler was reached so many ms after the call."""
    facts = [] if reached is None else [{"type": "request", "at": 1000.0 + reached, "request_id": "r"}]
    call = Call(1, "event", Invoke(**{**INVOKE, **invoke}), facts)
    plan = Plan("app.handler", Path("/code"), timeout=5, kill=Signal(7.0))
    return Result(plan, Ledger(), calls=[call], loaded=loaded, left=Left([], open_spans))


def notes(run: Result) -> list[str]:
    return [line for line in drawn_end(run) if line.startswith("Note: ") and "--kill" not in line]


def test_a_long_init_is_named_if_a_call_has_timed_out() -> None:
    """The emulator's timeout includes the init, and Lambda's does not; a short init is not to blame."""
    (late,) = notes(result(reached=4000.0, timed_out=True, open_spans=1))
    assert "the init has taken 4.0 s of the 5 s of call 1" in late
    assert "Type a longer --timeout" in late
    assert notes(result(reached=100.0, timed_out=True, open_spans=1)) == []
    assert len(notes(result(loaded=False, timed_out=True))) == 1


def test_an_unreached_handler_is_distinguished_from_an_untraced_one() -> None:
    """What has never run can capture nothing, and what has begun was captured."""
    (unreached,) = notes(result(loaded=False))
    assert "the handler was not reached" in unreached
    (untraced,) = notes(result(reached=10.0))
    assert "is the handler decorated?" in untraced
    assert notes(result(reached=10.0, open_spans=1)) == []


def test_a_signal_that_was_not_sent_is_named() -> None:
    """The calls may be over before its time comes."""
    run = result(reached=10.0)
    assert "Note: --kill after=7s was not sent: the calls were over before" in drawn_end(run)
    run.signals.append(("kill", 3000.0))
    assert not any("--kill" in line for line in drawn_end(run))


def test_an_init_that_has_failed_has_no_duration() -> None:
    """The emulator tells none; the error stands below, and cannot control the terminal."""
    error = {"errorMessage": "no \x1b[2J module\nhere", "errorType": "ImportError"}
    run = result(payload=error, init_ms=0.1)
    lines = [line.split() for line in drawn_call(run.calls[0], run)]
    assert [line[-1] for line in lines if line[:1] == ["init"]] == ["failed"]
    assert ["answer", "ImportError:", "no", "\\u001b[2J", "module", "here"] in lines


def test_calls_stand_below_their_handler() -> None:
    """Their names are indented, and one that is cut says so."""
    run = result(reached=10.0)
    span = {"type": "captured", "span_id": "s", "model": "anthropic.claude-3-haiku", "start": 20.0, "end": 30.0}
    run.calls[0].facts.append({**span, "status": "ok"})
    assert any(line.startswith("     anthropic.claud… ") for line in drawn_call(run.calls[0], run))


def test_the_end_of_a_long_log_is_shown() -> None:
    """That is where a traceback says what has failed. No line is endless, and a tab is a space."""
    run = result(reached=10.0, log="\n".join(["[ERROR]\tE", *(f"line {number}" for number in range(30)), "x" * 999]))
    shown = [line.split(maxsplit=1)[1] for line in drawn_call(run.calls[0], run) if line.split()[0] == "log"]
    assert shown[:5] == ["[ERROR] E", "line 0", "line 1", "line 2", "... 16 more lines: --json has all"]
    assert shown[5:-1] == [f"line {number}" for number in range(19, 30)]
    assert (len(shown[-1]), shown[-1][-1]) == (300, "…")


def test_a_warning_of_the_package_is_shown_to_its_end() -> None:
    """What to do, and the link to the explanation, are at the end of the line."""
    line = f"[WARNING] zespan-serverless: {'x' * 500}: check the address (docs/log-lines.md#away-other)"
    run = result(reached=10.0, log=line)
    assert any(drawn.endswith("#away-other)") for drawn in drawn_call(run.calls[0], run))


def test_a_generator_is_not_said_to_be_undecorated() -> None:
    """Lambda's runtime cannot answer it, so it has not begun."""
    why = "Unable to marshal response: Object of type generator is not JSON serializable"
    payload = {"errorType": "Runtime.MarshalError", "errorMessage": why}
    (note,) = notes(result(reached=10.0, payload=payload))
    assert "answers no generators yet" in note


def test_a_function_of_another_host_is_named(tmp_path: Path) -> None:
    """Its arguments are others, so its error says nothing about it."""
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "func.py").write_text(
        "from zespan_serverless import zespan_lambda, zespan_oracle\n\n\n"
        "@zespan_oracle\ndef handler(ctx, data=None): ...\n\n\n@zespan_lambda\ndef other(event, context): ...\n"
    )
    found = [
        other_decorator(tmp_path, f"src/{name}") for name in ("func.handler", "func.other", "func.no", "no.handler")
    ]
    assert found == ["zespan_oracle", None, None, None]
    run = result(reached=10.0, open_spans=1)
    run.plan = replace(run.plan, code=folder, handler="func.handler")
    (note,) = notes(run)
    assert "(@zespan_oracle)" in note
